/*
 * What a proxy needs that hands its traffic over to another one and that nginx has no directive for. Called from Lua
 * (lua/handover/connections.lua), each for the worker that calls it. "Clients" are connections that came by TCP: the control
 * socket is none of these.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
#include "handover.h"


static int                               closes;
static ngx_http_output_header_filter_pt  next_header_filter;


static int
is_for_clients(ngx_listening_t *ls)
{
    return ls != NULL && ls->sockaddr->sa_family != AF_UNIX;
}


static int
is_client(ngx_connection_t *c)
{
    return c->fd != (ngx_socket_t) -1 && is_for_clients(c->listening) && c->listening->connection != c;
}


/* Takes new connections, or leaves them to whoever else has the same listeners. Open ones go on. */
int
deploy_apps_accept(int on)
{
    ngx_uint_t         i;
    ngx_listening_t   *ls;
    ngx_connection_t  *c;

    ls = ngx_cycle->listening.elts;

    for (i = 0; i < ngx_cycle->listening.nelts; i++) {
        c = ls[i].connection;

        if (c == NULL || !is_for_clients(&ls[i]) || c->read->active == (unsigned) (on != 0)) {
            continue;
        }

        if ((on ? ngx_add_event(c->read, NGX_READ_EVENT, 0)
                : ngx_del_event(c->read, NGX_READ_EVENT, NGX_DISABLE_EVENT)) == NGX_ERROR)
        {
            return 0;
        }
    }

    return 1;
}


/* How many connections of clients this worker has. */
int
deploy_apps_clients(void)
{
    int         count = 0;
    ngx_uint_t  i;

    for (i = 0; i < ngx_cycle->connection_n; i++) {
        count += is_client(&ngx_cycle->connections[i]);
    }

    return count;
}


/* Closes those on which no request is open, as nginx does at its own end. */
void
deploy_apps_close_idle(void)
{
    ngx_uint_t         i;
    ngx_connection_t  *c;

    for (i = 0; i < ngx_cycle->connection_n; i++) {
        c = &ngx_cycle->connections[i];

        if (is_client(c) && c->idle) {
            c->close = 1;
            c->read->handler(c->read);
        }
    }
}


/* From now on each answer tells its client to come back on a new connection, also one to a request that is open already. */
void
deploy_apps_close_after_answers(int on)
{
    closes = on;
}


static ngx_int_t
header_filter(ngx_http_request_t *r)
{
    if (closes && r->stream != NULL) {
        deploy_apps_goaway(r);
    } else if (closes && is_client(r->connection)) {
        r->keepalive = 0;
    }

    return next_header_filter(r);
}


ngx_int_t
deploy_apps_init_filter(ngx_conf_t *cf)
{
    next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = header_filter;

    return NGX_OK;
}
