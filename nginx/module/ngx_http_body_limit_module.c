/*
 * A limit for the body of one request, told by the variable `$body_limit` in bytes; without a value there is none. nginx's own
 * limit is one of a location. Beyond it the request ends with 413, like there. It counts what arrives, so it serves bodies
 * in chunks and those of HTTP/2, which need not tell their length.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


static ngx_int_t ngx_http_body_limit_init(ngx_conf_t *cf);


static ngx_http_module_t  ngx_http_body_limit_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_body_limit_init,              /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_body_limit_module = {
    NGX_MODULE_V1,
    &ngx_http_body_limit_module_ctx,       /* module context */
    NULL,                                  /* module directives */
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


static ngx_http_request_body_filter_pt  ngx_http_next_request_body_filter;
static ngx_int_t                        ngx_http_body_limit_index;


/* Adds what has arrived to what had; each byte passes here once. */

static off_t
ngx_http_body_limit_count(ngx_http_request_t *r, ngx_chain_t *in)
{
    off_t        *count;
    ngx_chain_t  *cl;

    count = ngx_http_get_module_ctx(r, ngx_http_body_limit_module);

    if (count == NULL) {
        count = ngx_pcalloc(r->pool, sizeof(off_t));
        if (count == NULL) {
            return NGX_ERROR;
        }

        ngx_http_set_ctx(r, count, ngx_http_body_limit_module);
    }

    for (cl = in; cl; cl = cl->next) {
        *count += ngx_buf_size(cl->buf);
    }

    return *count;
}


/* The variable is only looked at, so a request for which nobody set it works out nothing. */

static ngx_int_t
ngx_http_body_limit_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    off_t                       limit, count;
    ngx_http_variable_value_t  *value;

    value = &r->variables[ngx_http_body_limit_index];

    if (value->valid && !value->not_found && value->len) {
        limit = ngx_atoof(value->data, value->len);
        count = ngx_http_body_limit_count(r, in);

        if (limit == NGX_ERROR || count == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (count > limit) {
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "client sends more than %O bytes, the app's limit", limit);
            return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
        }
    }

    return ngx_http_next_request_body_filter(r, in);
}


static ngx_int_t
ngx_http_body_limit_init(ngx_conf_t *cf)
{
    ngx_str_t  name = ngx_string("body_limit");

    ngx_http_body_limit_index = ngx_http_get_variable_index(cf, &name);

    if (ngx_http_body_limit_index == NGX_ERROR) {
        return NGX_ERROR;
    }

    ngx_http_next_request_body_filter = ngx_http_top_request_body_filter;
    ngx_http_top_request_body_filter = ngx_http_body_limit_filter;

    return NGX_OK;
}


ngx_module_t  *ngx_modules[] = { &ngx_http_body_limit_module, NULL };

char  *ngx_module_names[] = { "ngx_http_body_limit_module", NULL };

char  *ngx_module_order[] = { NULL };
