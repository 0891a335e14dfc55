/* src/io/service.h: telling the service manager how we are (the protocol of sd_notify(3)).
 *
 * systemd starts what waits for us once we say that we are ready, and knows an orderly end from a hang. The
 * name of its socket is in NOTIFY_SOCKET; without it nothing is said. */
#pragma once

/** Send `state`, such as "READY=1" or "STOPPING=1", to the service manager, if there is one. Nothing is
 * waited for, and that it cannot be sent is no error of ours. Any thread. */
void nx_service_notify(const char *state);
