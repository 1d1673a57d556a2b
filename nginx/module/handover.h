/* What handover.c and goaway.c give to the module, to Lua and to each other. */
#ifndef DEPLOY_APPS_HANDOVER_H
#define DEPLOY_APPS_HANDOVER_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

int        deploy_apps_accept(int on);
int        deploy_apps_clients(void);
void       deploy_apps_close_idle(void);
void       deploy_apps_close_after_answers(int on);
void       deploy_apps_goaway(ngx_http_request_t *r);
ngx_int_t  deploy_apps_init_filter(ngx_conf_t *cf);

#endif
