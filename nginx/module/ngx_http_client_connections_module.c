/*
 * How many connections one address may hold, whatever it does with them: idle ones, heads and bodies that come slowly,
 * requests. nginx itself counts requests whose head is complete, and nothing before that.
 *
 *     client_connections <limit> <limit in a worker> <most in all>;     in `http`
 *     client_connections_exempt <address or network> …;
 *     client_connections_on;                                            in a `server`: its listeners are counted
 *
 * Beyond a limit a connection gets a 429 for what it asks, and its head has to come soon. Beyond a margin above the limit
 * it is closed at once. The limit in a worker leaves room in each of them, however the kernel spreads connections.
 */

#include "ngx_http_client_table.h"


/* What a connection beyond the limit has for its head. */
#define NGX_HTTP_CLIENT_CONNECTIONS_HEAD    5000
#define NGX_HTTP_CLIENT_CONNECTIONS_MARGIN(limit)  ((limit) / 8 + 16)
/* Of a client that goes on opening connections; in each worker. */
#define NGX_HTTP_CLIENT_CONNECTIONS_SAY_S   60


typedef struct {
    ngx_http_client_table_t            table;
    ngx_array_t                       *exempt;     /* of ngx_cidr_t */
} ngx_http_client_connections_main_conf_t;


typedef struct {
    ngx_flag_t                         on;
} ngx_http_client_connections_srv_conf_t;


/* One counted connection. */

typedef struct {
    ngx_http_client_t                 *client;
    unsigned                           is_beyond:1;
} ngx_http_client_connections_held_t;


static ngx_int_t ngx_http_client_connections_init(ngx_conf_t *cf);
static void *ngx_http_client_connections_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_client_connections_create_srv_conf(ngx_conf_t *cf);
static char *ngx_http_client_connections(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_client_connections_exempt(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_client_connections_on(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_client_connections_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_client_connections_init_process(ngx_cycle_t *cycle);

extern ngx_module_t  ngx_http_client_connections_module;

static ngx_command_t  ngx_http_client_connections_commands[] = {

    { ngx_string("client_connections"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE3,
      ngx_http_client_connections,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("client_connections_exempt"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_client_connections_exempt,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("client_connections_on"),
      NGX_HTTP_SRV_CONF|NGX_CONF_NOARGS,
      ngx_http_client_connections_on,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_client_connections_module_ctx = {
    NULL,                                          /* preconfiguration */
    ngx_http_client_connections_init,              /* postconfiguration */

    ngx_http_client_connections_create_main_conf,  /* create main configuration */
    NULL,                                          /* init main configuration */

    ngx_http_client_connections_create_srv_conf,   /* create server configuration */
    NULL,                                          /* merge server configuration */

    NULL,                                          /* create location configuration */
    NULL                                           /* merge location configuration */
};


ngx_module_t  ngx_http_client_connections_module = {
    NGX_MODULE_V1,
    &ngx_http_client_connections_module_ctx,       /* module context */
    ngx_http_client_connections_commands,          /* module directives */
    NGX_HTTP_MODULE,                               /* module type */
    NULL,                                          /* init master */
    ngx_http_client_connections_init_module,       /* init module */
    ngx_http_client_connections_init_process,      /* init process */
    NULL,                                          /* init thread */
    NULL,                                          /* exit thread */
    NULL,                                          /* exit process */
    NULL,                                          /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_client_connections_main_conf_t *
ngx_http_client_connections_conf(void)
{
    return ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_client_connections_module);
}


static void
ngx_http_client_connections_end(void *data)
{
    ngx_http_client_connections_held_t  *held = data;

    ngx_http_client_table_lower(&ngx_http_client_connections_conf()->table, held->client);
}


static void
ngx_http_client_connections_say(ngx_connection_t *c)
{
    static time_t  said;

    if (said && ngx_time() - said < NGX_HTTP_CLIENT_CONNECTIONS_SAY_S) {
        return;
    }

    said = ngx_time();
    ngx_log_error(NGX_LOG_WARN, c->log, 0, "client %V holds more connections than one may, and more are closed",
                  &c->addr_text);
}


/* A new connection, before nginx waits for its first byte. */

static void
ngx_http_client_connections_accept(ngx_connection_t *c)
{
    ngx_uint_t                                over;
    ngx_http_client_t                        *client;
    ngx_pool_cleanup_t                       *cln;
    ngx_http_client_table_t                  *table;
    ngx_http_client_connections_held_t       *held;
    ngx_http_client_connections_main_conf_t  *cmcf;

    cmcf = ngx_http_client_connections_conf();
    table = &cmcf->table;

    if (cmcf->exempt && ngx_cidr_match(c->sockaddr, cmcf->exempt) == NGX_OK) {
        ngx_http_init_connection(c);
        return;
    }

    cln = ngx_pool_cleanup_add(c->pool, sizeof(ngx_http_client_connections_held_t));
    if (cln == NULL) {
        ngx_http_close_connection(c);
        return;
    }

    client = ngx_http_client_table_raise(table, c->sockaddr, &over);

    if (client) {
        held = cln->data;
        held->client = client;
        held->is_beyond = over > 0;
        cln->handler = ngx_http_client_connections_end;
    }

    if (over > NGX_HTTP_CLIENT_CONNECTIONS_MARGIN(ngx_min(table->limit, table->worker_limit))) {
        ngx_http_client_connections_say(c);
        ngx_http_close_connection(c);
        return;
    }

    ngx_http_init_connection(c);

    if (over && c->fd != (ngx_socket_t) -1 && c->read->timer_set) {
        ngx_add_timer(c->read, NGX_HTTP_CLIENT_CONNECTIONS_HEAD);
    }
}


/* A request of a connection beyond the limit, unless others have ended since. */

static ngx_int_t
ngx_http_client_connections_handler(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t                  *cln;
    ngx_http_client_connections_held_t  *held;

    if (r->internal) {
        return NGX_DECLINED;
    }

    for (cln = r->connection->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_client_connections_end) {
            break;
        }
    }

    held = cln ? cln->data : NULL;

    if (held == NULL || !held->is_beyond) {
        return NGX_DECLINED;
    }

    held->is_beyond = ngx_http_client_table_over(&ngx_http_client_connections_conf()->table, held->client) > 0;

    if (!held->is_beyond) {
        return NGX_DECLINED;
    }

    r->keepalive = 0;

    return NGX_HTTP_TOO_MANY_REQUESTS;
}


static ngx_int_t
ngx_http_client_connections_init_process(ngx_cycle_t *cycle)
{
    ngx_http_client_connections_main_conf_t  *cmcf;

    cmcf = ngx_http_client_connections_conf();

    if (ngx_process == NGX_PROCESS_WORKER && cmcf && cmcf->table.zone) {
        ngx_http_client_table_take_slot(&cmcf->table);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_client_connections_is_on(ngx_listening_t *ls)
{
    ngx_http_port_t                         *port;
    ngx_http_core_srv_conf_t                *cscf;
    ngx_http_client_connections_srv_conf_t  *conf;

    if (ls->handler != ngx_http_init_connection) {
        return 0;
    }

    port = ls->servers;

    switch (ls->sockaddr->sa_family) {

    case AF_INET:
        cscf = ((ngx_http_in_addr_t *) port->addrs)[0].conf.default_server;
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        cscf = ((ngx_http_in6_addr_t *) port->addrs)[0].conf.default_server;
        break;
#endif

    default:
        return 0;
    }

    conf = cscf->ctx->srv_conf[ngx_http_client_connections_module.ctx_index];

    return conf->on;
}


static ngx_int_t
ngx_http_client_connections_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t        n;
    ngx_listening_t  *ls;

    ls = cycle->listening.elts;

    for (n = 0; n < cycle->listening.nelts; n++) {
        if (ngx_http_client_connections_is_on(&ls[n])) {
            ls[n].handler = ngx_http_client_connections_accept;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_client_connections_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *handler;
    ngx_http_core_main_conf_t  *core;

    core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    handler = ngx_array_push(&core->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (handler == NULL) {
        return NGX_ERROR;
    }

    *handler = ngx_http_client_connections_handler;

    return NGX_OK;
}


static void *
ngx_http_client_connections_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_client_connections_main_conf_t));
}


static void *
ngx_http_client_connections_create_srv_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_client_connections_srv_conf_t));
}


static char *
ngx_http_client_connections(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_client_connections_main_conf_t  *cmcf = conf;

    ngx_int_t    values[3];
    ngx_str_t   *value;
    ngx_uint_t   n;

    if (cmcf->table.zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (n = 0; n < 3; n++) {
        values[n] = ngx_atoi(value[n + 1].data, value[n + 1].len);

        if (values[n] <= 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is no number above 0", &value[n + 1]);
            return NGX_CONF_ERROR;
        }
    }

    cmcf->table.limit = values[0];
    cmcf->table.worker_limit = values[1];

    if (ngx_http_client_table_create(cf, &cmcf->table, values[2], &ngx_http_client_connections_module) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_client_connections_exempt(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_client_connections_main_conf_t  *cmcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   n;
    ngx_cidr_t  *cidr;

    if (cmcf->exempt == NULL) {
        cmcf->exempt = ngx_array_create(cf->pool, 4, sizeof(ngx_cidr_t));
        if (cmcf->exempt == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (n = 1; n < cf->args->nelts; n++) {
        cidr = ngx_array_push(cmcf->exempt);
        if (cidr == NULL) {
            return NGX_CONF_ERROR;
        }

        if (ngx_ptocidr(&value[n], cidr) == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is no address or network", &value[n]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_client_connections_on(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_client_connections_srv_conf_t   *cscf = conf;
    ngx_http_client_connections_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_client_connections_module);

    if (cmcf->table.zone == NULL) {
        return "needs \"client_connections\" before it";
    }

    cscf->on = 1;

    return NGX_CONF_OK;
}


/* By these names nginx finds what to load. */

ngx_module_t  *ngx_modules[] = { &ngx_http_client_connections_module, NULL };

char  *ngx_module_names[] = { "ngx_http_client_connections_module", NULL };

char  *ngx_module_order[] = { NULL };
