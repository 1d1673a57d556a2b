-- Names the peer for each try of a request (balancer_by_lua). The first was picked and counted in the access phase;
-- each further one moves the count to another peer.
local access = require "access"
local balancer = require "ngx.balancer"
local ejection = require "ejection"
local inflight = require "inflight"
local metrics = require "metrics"

local _M = {}

-- nginx's own code for "no live upstreams": the client gets 502. A status would become 500 here.
local NO_PEER = -3

-- A request that meets three dead peers meets a dead app.
local MOST_RETRIES = 2

-- Did the last try end before it was connected? Then the peer is gone, and no part of the request was sent.
local function never_connected()
    -- One entry for each try, the present one already among them.
    local times = ngx.var.upstream_connect_time or ""
    return times:match("([^ ,]+), [^ ,]+$") == "-"
end

local function next_peer(ctx)
    local failed = ctx.peer
    local is_gone = never_connected()
    if is_gone then
        ejection.failed(failed)
        metrics.count(ctx.app.metrics.ejections)
    end
    ctx.tried = ctx.tried or {}
    ctx.tried[failed.id] = true
    local name = failed.app
    inflight.lower(failed, false)
    ctx.peer = nil
    local peer = access.take_peer(ctx, name, ctx.tried)
    if not peer and not is_gone then
        -- The only peer closed a pooled connection: a fresh one to it will do.
        peer = access.take_peer(ctx, name)
    end
    return peer
end

function _M.run()
    local ctx = ngx.ctx
    if not ctx.is_begun then
        ctx.is_begun = true
        balancer.set_more_tries(MOST_RETRIES)
    else
        -- nginx grants a try more for each pooled connection that failed; the limit holds for those too.
        if (ctx.retries or 0) >= MOST_RETRIES or not next_peer(ctx) then
            return ngx.exit(NO_PEER)
        end
        ctx.retries = (ctx.retries or 0) + 1
        metrics.count(ctx.app.metrics.retries)
    end
    local ok, problem = balancer.set_current_peer(ctx.peer.address, ctx.peer.port)
    if not ok then
        ngx.log(ngx.ERR, "cannot use the address of `", ctx.peer.id, "`: ", problem)
        return ngx.exit(NO_PEER)
    end
end

return _M
