/*
 * Which address holds how many connections, in shared memory for all workers (ngx_http_client_table.h).
 */

#include "ngx_http_client_table.h"


/* One address, in shared memory, with its connections in each worker. */

struct ngx_http_client_s {
    ngx_rbtree_node_t                  node;
    u_char                             address[16];
    uint32_t                           held[1];
};


typedef struct {
    ngx_rbtree_t                       rbtree;
    ngx_rbtree_node_t                  sentinel;
    ngx_pid_t                          owners[1];  /* of the slots */
} ngx_http_client_table_shared_t;


/* Of this worker; none: it does not count. */
static ngx_int_t  ngx_http_client_table_slot = -1;


static ngx_slab_pool_t *
ngx_http_client_table_pool(ngx_http_client_table_t *table)
{
    return (ngx_slab_pool_t *) table->zone->shm.addr;
}


/* The limit takes all connections of an address; where most of them are in one worker, that worker's limit comes first. */

static ngx_uint_t
ngx_http_client_table_count_over(ngx_http_client_table_t *table,
    ngx_http_client_t *client)
{
    ngx_uint_t  n, sum, own;

    sum = 0;

    for (n = 0; n < table->slots; n++) {
        sum += client->held[n];
    }

    own = client->held[ngx_http_client_table_slot];
    sum = sum > table->limit ? sum - table->limit : 0;
    own = own > table->worker_limit ? own - table->worker_limit : 0;

    return ngx_max(sum, own);
}


static ngx_uint_t
ngx_http_client_table_is_idle(ngx_http_client_table_t *table,
    ngx_http_client_t *client)
{
    ngx_uint_t  n;

    for (n = 0; n < table->slots; n++) {
        if (client->held[n]) {
            return 0;
        }
    }

    return 1;
}


static void
ngx_http_client_table_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel)
{
    ngx_int_t                              rc;
    ngx_rbtree_node_t                    **p;
    ngx_http_client_t  *client, *other;

    client = (ngx_http_client_t *) node;

    for ( ;; ) {
        other = (ngx_http_client_t *) temp;
        rc = node->key != temp->key ? (node->key < temp->key ? -1 : 1)
                                    : ngx_memcmp(client->address, other->address, sizeof(client->address));
        p = rc < 0 ? &temp->left : &temp->right;

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


/* Finds the address or adds it. NULL when there is no room, and then it is not counted. */

static ngx_http_client_t *
ngx_http_client_table_find(ngx_http_client_table_t *table, u_char *address)
{
    ngx_int_t                              rc;
    uint32_t                               hash;
    ngx_rbtree_node_t                     *node;
    ngx_http_client_t  *client;
    ngx_http_client_table_shared_t  *shared;

    shared = table->zone->data;
    hash = ngx_crc32_short(address, 16);
    node = shared->rbtree.root;

    while (node != &shared->sentinel) {
        client = (ngx_http_client_t *) node;
        rc = hash != node->key ? (hash < node->key ? -1 : 1)
                               : ngx_memcmp(address, client->address, 16);

        if (rc == 0) {
            return client;
        }

        node = rc < 0 ? node->left : node->right;
    }

    client = ngx_slab_calloc_locked(ngx_http_client_table_pool(table),
                                    sizeof(ngx_http_client_t)
                                    + (table->slots - 1) * sizeof(uint32_t));
    if (client == NULL) {
        return NULL;
    }

    client->node.key = hash;
    ngx_memcpy(client->address, address, 16);
    ngx_rbtree_insert(&shared->rbtree, &client->node);

    return client;
}


static void
ngx_http_client_table_forget(ngx_http_client_table_t *table,
    ngx_http_client_t *client)
{
    ngx_http_client_table_shared_t  *shared;

    shared = table->zone->data;
    ngx_rbtree_delete(&shared->rbtree, &client->node);
    ngx_slab_free_locked(ngx_http_client_table_pool(table), client);
}


/* An IPv6 client has a network of 64 bits to choose its addresses from, so that network counts as one. */

static void
ngx_http_client_table_address(struct sockaddr *sockaddr, u_char *address)
{
    ngx_memzero(address, 16);

#if (NGX_HAVE_INET6)
    if (sockaddr->sa_family == AF_INET6) {
        ngx_memcpy(address, &((struct sockaddr_in6 *) sockaddr)->sin6_addr, 8);
        return;
    }
#endif

    ngx_memcpy(&address[10], "\377\377", 2);
    ngx_memcpy(&address[12], &((struct sockaddr_in *) sockaddr)->sin_addr, 4);
}


ngx_http_client_t *
ngx_http_client_table_raise(ngx_http_client_table_t *table, struct sockaddr *sockaddr, ngx_uint_t *over)
{
    u_char              address[16];
    ngx_slab_pool_t    *pool;
    ngx_http_client_t  *client;

    *over = 0;

    if (ngx_http_client_table_slot < 0) {
        return NULL;
    }

    ngx_http_client_table_address(sockaddr, address);
    pool = ngx_http_client_table_pool(table);

    ngx_shmtx_lock(&pool->mutex);

    client = ngx_http_client_table_find(table, address);
    if (client) {
        client->held[ngx_http_client_table_slot]++;
        *over = ngx_http_client_table_count_over(table, client);
    }

    ngx_shmtx_unlock(&pool->mutex);

    return client;
}


void
ngx_http_client_table_lower(ngx_http_client_table_t *table, ngx_http_client_t *client)
{
    ngx_slab_pool_t  *pool;

    pool = ngx_http_client_table_pool(table);

    ngx_shmtx_lock(&pool->mutex);

    client->held[ngx_http_client_table_slot]--;

    if (ngx_http_client_table_is_idle(table, client)) {
        ngx_http_client_table_forget(table, client);
    }

    ngx_shmtx_unlock(&pool->mutex);
}


ngx_uint_t
ngx_http_client_table_over(ngx_http_client_table_t *table, ngx_http_client_t *client)
{
    ngx_uint_t        over;
    ngx_slab_pool_t  *pool;

    pool = ngx_http_client_table_pool(table);

    ngx_shmtx_lock(&pool->mutex);
    over = ngx_http_client_table_count_over(table, client);
    ngx_shmtx_unlock(&pool->mutex);

    return over;
}


static ngx_int_t
ngx_http_client_table_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t                          *pool;
    ngx_http_client_table_shared_t     *shared;
    ngx_http_client_table_t  *table;

    /* A reload: what is counted goes on. */
    if (data) {
        zone->data = data;
        return NGX_OK;
    }

    table = zone->data;
    pool = (ngx_slab_pool_t *) zone->shm.addr;
    pool->log_nomem = 0;

    shared = ngx_slab_calloc(pool, sizeof(ngx_http_client_table_shared_t)
                                   + (table->slots - 1) * sizeof(ngx_pid_t));
    if (shared == NULL) {
        return NGX_ERROR;
    }

    ngx_rbtree_init(&shared->rbtree, &shared->sentinel, ngx_http_client_table_insert);
    zone->data = shared;

    return NGX_OK;
}


/* Drops what a worker has held that is no more. */

static void
ngx_http_client_table_clear(ngx_http_client_table_t *table, ngx_uint_t slot)
{
    ngx_rbtree_node_t                     *node, *next;
    ngx_http_client_t  *client;
    ngx_http_client_table_shared_t  *shared;

    shared = table->zone->data;

    if (shared->rbtree.root == &shared->sentinel) {
        return;
    }

    for (node = ngx_rbtree_min(shared->rbtree.root, &shared->sentinel); node; node = next) {
        next = ngx_rbtree_next(&shared->rbtree, node);
        client = (ngx_http_client_t *) node;
        client->held[slot] = 0;

        if (ngx_http_client_table_is_idle(table, client)) {
            ngx_http_client_table_forget(table, client);
        }
    }
}


/* A worker takes a slot that nobody has: while nginx reloads, old workers keep theirs. */

void
ngx_http_client_table_take_slot(ngx_http_client_table_t *table)
{
    ngx_uint_t                       n;
    ngx_slab_pool_t                 *pool;
    ngx_http_client_table_shared_t  *shared;

    shared = table->zone->data;
    pool = ngx_http_client_table_pool(table);

    ngx_shmtx_lock(&pool->mutex);

    for (n = 0; n < table->slots; n++) {
        if (shared->owners[n] == 0 || (kill(shared->owners[n], 0) == -1 && ngx_errno == NGX_ESRCH)) {
            ngx_http_client_table_clear(table, n);
            shared->owners[n] = ngx_pid;
            ngx_http_client_table_slot = n;
            break;
        }
    }

    ngx_shmtx_unlock(&pool->mutex);
}


ngx_int_t
ngx_http_client_table_create(ngx_conf_t *cf, ngx_http_client_table_t *table, ngx_uint_t most, ngx_module_t *module)
{
    size_t            size, node;
    ngx_str_t         name;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx, ngx_core_module);

    /* Old and new workers of a reload. */
    table->slots = 2 * ngx_max(ccf->worker_processes, 1);

    /* The slab gives powers of two. */
    node = sizeof(ngx_http_client_t) + (table->slots - 1) * sizeof(uint32_t);
    for (size = 64; size < node; size *= 2) { /* void */ }
    size = ngx_align(most * size + 64 * ngx_pagesize, ngx_pagesize);

    ngx_str_set(&name, "client_connections");

    table->zone = ngx_shared_memory_add(cf, &name, size, module);
    if (table->zone == NULL) {
        return NGX_ERROR;
    }

    table->zone->init = ngx_http_client_table_init_zone;
    table->zone->data = table;

    return NGX_OK;
}
