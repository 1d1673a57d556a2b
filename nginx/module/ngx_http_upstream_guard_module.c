/*
 * What nginx 1.26 takes for an answer and is none, and answers that it never looks at. One directive, `guard;`, in an
 * `upstream` block.
 *
 * 1. Interim answers (100, 102, 103 and any other 1xx) are read and dropped, and the answer that follows them is passed on.
 *    nginx takes the first for the whole answer: the request never ends.
 * 2. An answer that is not HTTP/1.x, whose status is not 1xx to 9xx, or a 101 that nobody asked for, is a 502. nginx passes
 *    their bytes on without any framing, on a connection that the client goes on using.
 * 3. An app may answer an upload before it has read all of it, and close. When nginx then fails to send the rest, the
 *    answer is read none the less, instead of being lost for a 502.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "handover.h"


/* Nobody announces an answer more often; an app that does would hold its client for ever. */
#define NGX_HTTP_UPSTREAM_GUARD_INTERIMS  32


typedef struct {
    ngx_http_upstream_init_pt          init_upstream;
    ngx_http_upstream_init_peer_pt     init_peer;
} ngx_http_upstream_guard_conf_t;


/* What this module stands in front of, for one request. */

typedef struct {
    ngx_http_request_t                *request;
    ngx_int_t                        (*process_header)(ngx_http_request_t *r);
    ngx_int_t                        (*reinit_request)(ngx_http_request_t *r);
    ngx_output_chain_filter_pt         output_filter;
    void                              *output_ctx;
    ngx_uint_t                         interims;
    unsigned                           unsent:1;
} ngx_http_upstream_guard_ctx_t;


static ngx_int_t ngx_http_upstream_guard_header(ngx_http_request_t *r);
static void *ngx_http_upstream_guard_create_conf(ngx_conf_t *cf);
static char *ngx_http_upstream_guard(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


static ngx_command_t  ngx_http_upstream_guard_commands[] = {

    { ngx_string("guard"),
      NGX_HTTP_UPS_CONF|NGX_CONF_NOARGS,
      ngx_http_upstream_guard,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_upstream_guard_module_ctx = {
    NULL,                                  /* preconfiguration */
    deploy_apps_init_filter,               /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_http_upstream_guard_create_conf,   /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_upstream_guard_module = {
    NGX_MODULE_V1,
    &ngx_http_upstream_guard_module_ctx,   /* module context */
    ngx_http_upstream_guard_commands,      /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* The rest of an upload cannot be sent. Whether that is an error is for the answer to say, or for its absence. */

static ngx_int_t
ngx_http_upstream_guard_output(void *data, ngx_chain_t *in)
{
    ngx_int_t                       rc;
    ngx_event_t                    *rev;
    ngx_http_upstream_guard_ctx_t  *ctx;

    ctx = data;

    if (ctx->unsent) {
        return NGX_AGAIN;
    }

    rc = ctx->output_filter(ctx->output_ctx, in);

    if (rc != NGX_ERROR || ctx->request->upstream->peer.connection == NULL) {
        return rc;
    }

    ctx->unsent = 1;

    rev = ctx->request->upstream->peer.connection->read;
    rev->ready = 1;
    ngx_post_event(rev, &ngx_posted_events);

    return NGX_AGAIN;
}


/* Whether the head that was read is an answer: NGX_OK, NGX_AGAIN for an interim one, or an error. */

static ngx_int_t
ngx_http_upstream_guard_judge(ngx_http_request_t *r)
{
    ngx_str_t            *asked;
    ngx_uint_t            status;

    /* 0 is also what a status line that nginx cannot read has left. */
    status = r->upstream->headers_in.status_n;

    if (status < 100) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "upstream sent no valid HTTP/1.x answer");
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    if (status >= 200) {
        return NGX_OK;
    }

    if (status != NGX_HTTP_SWITCHING_PROTOCOLS) {
        return NGX_AGAIN;
    }

    /* nginx.conf passes on no other upgrade, whatever the client asked for. */
    asked = r->headers_in.upgrade ? &r->headers_in.upgrade->value : NULL;

    if (asked == NULL
        || asked->len != sizeof("websocket") - 1
        || ngx_strncasecmp(asked->data, (u_char *) "websocket", asked->len) != 0)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "upstream sent status 101 without being asked");
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    return NGX_OK;
}


/* Forgets an interim answer, as nginx forgets the answer of a failed try. What was read after it stays. */

static ngx_int_t
ngx_http_upstream_guard_drop(ngx_http_request_t *r,
    ngx_http_upstream_guard_ctx_t *ctx)
{
    size_t                rest;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (++ctx->interims > NGX_HTTP_UPSTREAM_GUARD_INTERIMS) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "upstream sent too many interim answers");
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    if (ctx->reinit_request(r) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->process_header = u->process_header;
    u->process_header = ngx_http_upstream_guard_header;

    u->keepalive = 0;
    u->upgrade = 0;
    u->state->status = 0;

    ngx_memzero(&u->headers_in, sizeof(ngx_http_upstream_headers_in_t));
    u->headers_in.content_length_n = -1;
    u->headers_in.last_modified_time = -1;

    if (ngx_list_init(&u->headers_in.headers, r->pool, 8,
                      sizeof(ngx_table_elt_t))
        != NGX_OK
        || ngx_list_init(&u->headers_in.trailers, r->pool, 2,
                         sizeof(ngx_table_elt_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    rest = u->buffer.last - u->buffer.pos;
    ngx_memmove(u->buffer.start, u->buffer.pos, rest);
    u->buffer.pos = u->buffer.start;
    u->buffer.last = u->buffer.start + rest;

    return NGX_OK;
}


static ngx_int_t
ngx_http_upstream_guard_header(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_uint_t                      version;
    ngx_http_upstream_t            *u;
    ngx_http_upstream_guard_ctx_t  *ctx;

    u = r->upstream;
    ctx = ngx_http_get_module_ctx(r, ngx_http_upstream_guard_module);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    for ( ;; ) {
        version = r->http_version;

        u->process_header = ctx->process_header;
        rc = ctx->process_header(r);

        /* nginx goes on from the status line to the headers. */
        ctx->process_header = u->process_header;
        u->process_header = ngx_http_upstream_guard_header;

        /* It takes what it cannot read for HTTP/0.9, and would answer the client alike. */
        r->http_version = version;

        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_http_upstream_guard_judge(r);

        if (rc != NGX_AGAIN) {
            return rc;
        }

        rc = ngx_http_upstream_guard_drop(r, ctx);

        if (rc != NGX_OK) {
            return rc;
        }

        if (u->buffer.pos == u->buffer.last) {
            return NGX_AGAIN;
        }
    }
}


/* A further try begins. */

static ngx_int_t
ngx_http_upstream_guard_reinit(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_http_upstream_guard_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_upstream_guard_module);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    rc = ctx->reinit_request(r);

    ctx->process_header = r->upstream->process_header;
    r->upstream->process_header = ngx_http_upstream_guard_header;
    ctx->interims = 0;
    ctx->unsent = 0;

    return rc;
}


static ngx_int_t
ngx_http_upstream_guard_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_upstream_t             *u;
    ngx_http_upstream_guard_ctx_t   *ctx;
    ngx_http_upstream_guard_conf_t  *conf;

    conf = ngx_http_conf_upstream_srv_conf(us, ngx_http_upstream_guard_module);

    if (conf->init_peer(r, us) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_upstream_guard_ctx_t));
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    u = r->upstream;

    ctx->request = r;
    ctx->process_header = u->process_header;
    ctx->reinit_request = u->reinit_request;
    ctx->output_filter = u->output.output_filter;
    ctx->output_ctx = u->output.filter_ctx;

    u->process_header = ngx_http_upstream_guard_header;
    u->reinit_request = ngx_http_upstream_guard_reinit;
    u->output.output_filter = ngx_http_upstream_guard_output;
    u->output.filter_ctx = ctx;

    ngx_http_set_ctx(r, ctx, ngx_http_upstream_guard_module);

    return NGX_OK;
}


static ngx_int_t
ngx_http_upstream_guard_init_upstream(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_upstream_guard_conf_t  *conf;

    conf = ngx_http_conf_upstream_srv_conf(us, ngx_http_upstream_guard_module);

    if (conf->init_upstream(cf, us) != NGX_OK) {
        return NGX_ERROR;
    }

    conf->init_peer = us->peer.init;
    us->peer.init = ngx_http_upstream_guard_init_peer;

    return NGX_OK;
}


static void *
ngx_http_upstream_guard_create_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_upstream_guard_conf_t));
}


static char *
ngx_http_upstream_guard(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_upstream_srv_conf_t    *uscf;
    ngx_http_upstream_guard_conf_t  *gcf = conf;

    if (gcf->init_upstream) {
        return "is duplicate";
    }

    uscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_upstream_module);

    gcf->init_upstream = uscf->peer.init_upstream
                         ? uscf->peer.init_upstream
                         : ngx_http_upstream_init_round_robin;

    uscf->peer.init_upstream = ngx_http_upstream_guard_init_upstream;

    return NGX_CONF_OK;
}


/* By these names nginx finds what to load. */

ngx_module_t  *ngx_modules[] = { &ngx_http_upstream_guard_module, NULL };

char  *ngx_module_names[] = { "ngx_http_upstream_guard_module", NULL };

char  *ngx_module_order[] = { NULL };
