/* What handover.c gives to the module and to Lua. */
#ifndef DEPLOY_APPS_HANDOVER_H
#define DEPLOY_APPS_HANDOVER_H

#include <ngx_config.h>
#include <ngx_core.h>

int        deploy_apps_accept(int on);
int        deploy_apps_clients(void);
void       deploy_apps_close_idle(void);
void       deploy_apps_close_after_answers(int on);
ngx_int_t  deploy_apps_init_filter(ngx_conf_t *cf);

#endif
