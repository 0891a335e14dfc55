/* Writes what it reads. */
#include <unistd.h>

int main(void) {
    static char bytes[32768];
    ssize_t size;
    while ((size = read(0, bytes, sizeof bytes)) > 0) {
        if (write(1, bytes, (size_t)size) != size) {
            return 1;
        }
    }
    return 0;
}
