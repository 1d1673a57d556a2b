/*
 * Which address holds how many connections, in shared memory for all workers. What a worker held that was killed is dropped when
 * another takes its slot.
 */

#ifndef NGX_HTTP_CLIENT_TABLE_H
#define NGX_HTTP_CLIENT_TABLE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef struct {
    ngx_uint_t                  limit;
    ngx_uint_t                  worker_limit;
    ngx_uint_t                  slots;
    ngx_shm_zone_t             *zone;
} ngx_http_client_table_t;

typedef struct ngx_http_client_s  ngx_http_client_t;


/* While nginx is configured: room for so many addresses. */
ngx_int_t ngx_http_client_table_create(ngx_conf_t *cf, ngx_http_client_table_t *table, ngx_uint_t most,
    ngx_module_t *module);

/* In each worker, before it counts. */
void ngx_http_client_table_take_slot(ngx_http_client_table_t *table);

/* Counts a connection, and says how far its address is beyond a limit now. NULL when it is not counted. */
ngx_http_client_t *ngx_http_client_table_raise(ngx_http_client_table_t *table, struct sockaddr *sockaddr,
    ngx_uint_t *over);
void ngx_http_client_table_lower(ngx_http_client_table_t *table, ngx_http_client_t *client);
ngx_uint_t ngx_http_client_table_over(ngx_http_client_table_t *table, ngx_http_client_t *client);


#endif
