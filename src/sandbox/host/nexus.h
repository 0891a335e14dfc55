/* src/sandbox/host/nexus.h: the host module "nexus": log, publish, key-value, time and random. The functions
 * are described for guests in spec/guest-interface.md. */
#pragma once

#include "sandbox/host/state.h"

/** The answer to a parked kv_get: write it into the guest. */
void nx_nexus_kv_complete(struct nx_host *host);
