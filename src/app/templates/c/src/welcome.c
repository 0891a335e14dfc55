/* welcome.c: greets a new user; runs for every event of type user.created. */
#include <stdio.h>

int main(void) {
    puts("{}");
    return 0;
}
