/*
 * Asks a client to come back on a new connection, in HTTP/2. nginx's own GOAWAY names the last request that it will answer, and drops what
 * the client has sent meanwhile; a request that is not idempotent is lost with it. The one here names no request: all that come are
 * answered, until the client has read it and opens no more (RFC 9113, section 6.8).
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_http_v2.h>
#include "handover.h"

#define LENGTH  8


static ngx_int_t
sent(ngx_http_v2_connection_t *h2c, ngx_http_v2_out_frame_t *frame)
{
    ngx_buf_t  *buf = frame->first->buf;

    if (buf->pos != buf->last) {
        return NGX_AGAIN;
    }

    h2c->total_bytes += NGX_HTTP_V2_FRAME_HEADER_SIZE + LENGTH;

    return NGX_OK;
}


/* Marks a connection by being in its pool. */
static void
mark(void *data)
{
}


static ngx_uint_t
is_first(ngx_connection_t *c)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = c->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == mark) {
            return 0;
        }
    }

    cln = ngx_pool_cleanup_add(c->pool, 0);
    if (cln != NULL) {
        cln->handler = mark;
    }

    return cln != NULL;
}


void
deploy_apps_goaway(ngx_http_request_t *r)
{
    ngx_buf_t                 *buf;
    ngx_pool_t                *pool;
    ngx_http_v2_out_frame_t   *frame;
    ngx_http_v2_connection_t  *h2c = r->stream->connection;

    if (h2c->goaway || !is_first(h2c->connection)) {
        return;
    }

    pool = h2c->pool ? h2c->pool : h2c->connection->pool;
    frame = ngx_pcalloc(pool, sizeof(ngx_http_v2_out_frame_t));
    buf = ngx_create_temp_buf(pool, NGX_HTTP_V2_FRAME_HEADER_SIZE + LENGTH);
    if (frame == NULL || buf == NULL) {
        return;
    }
    frame->first = ngx_alloc_chain_link(pool);
    if (frame->first == NULL) {
        return;
    }

    buf->last_buf = 1;
    buf->last = ngx_http_v2_write_len_and_type(buf->last, LENGTH, NGX_HTTP_V2_GOAWAY_FRAME);
    *buf->last++ = NGX_HTTP_V2_NO_FLAG;
    buf->last = ngx_http_v2_write_sid(buf->last, 0);
    buf->last = ngx_http_v2_write_sid(buf->last, NGX_HTTP_V2_MAX_WINDOW);
    buf->last = ngx_http_v2_write_uint32(buf->last, 0);

    frame->first->buf = buf;
    frame->first->next = NULL;
    frame->last = frame->first;
    frame->handler = sent;
    frame->length = LENGTH;

    ngx_http_v2_queue_blocked_frame(h2c, frame);
}
