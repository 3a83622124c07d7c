/* --bind (binds.c). */
#ifndef DIAGWS_HUB_BINDS_H
#define DIAGWS_HUB_BINDS_H

#include "base/err.h"
#include "wire/router.h"

/* What a --bind says (binds.c); its texts are kept for the life of the process. DW_E_CONFIG, DW_E_NOMEM. */
int bind_read(const char *text, struct dw_bind *bind, struct dw_fault *fault);

#endif
