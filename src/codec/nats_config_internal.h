/* src/codec/nats_config_internal.h: what the parser of nats_config.c takes from nats_config_value.c. */
#pragma once

#include "codec/nats_config.h"

/** Set kind and value of the node by a word without quotes: a number, a boolean, else a string, whose text is
 * left to the caller. False: a whole number that 64 bits do not hold. */
bool nx_nats_word_read(struct nx_str word, struct nx_nats_node *node);
