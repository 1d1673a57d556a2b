-- A request's way through the proxy: find its app, pick a peer and count the request there, notice a WebSocket, and
-- take the count back at the end. balancer.lua does the tries.
local balance = require "balance"
local current = require "current"
local ejection = require "ejection"
local inflight = require "inflight"
local metrics = require "metrics"
local pages = require "pages"
local rewrite = require "rewrite"
local routes = require "routes"

local var = ngx.var

local _M = {}

-- How often a held request looks for a peer.
local HOLD_STEP_S = 0.02

-- nginx empties ngx.ctx when it turns to an error page; a count must not be lost with it. So what a request holds is
-- kept here too, under a number that nginx keeps in a variable.
local tickets, last_ticket = {}, 0

-- Picks a peer and counts the request there. The count is raised first and the generation read again after it (law 3 of
-- the design): a flip that did not see the count is seen here, so when a flip is acknowledged, zero means zero.
function _M.take_peer(ctx, name, tried)
    while true do
        local app = current.app(name)
        ctx.app = app
        local peer = app and balance.pick(app, tried)
        if not peer or not inflight.raise(peer) then
            return nil
        end
        if not current.is_stale(app) then
            ctx.peer = peer
            return peer
        end
        inflight.lower(peer, false)
    end
end

-- While a stop-first app has no peer, its requests wait for the next one.
local function hold(ctx, name)
    metrics.count(ctx.app.metrics.held)
    local deadline = ngx.now() + ctx.app.hold_ms / 1000
    repeat
        ngx.sleep(HOLD_STEP_S)
        local peer = _M.take_peer(ctx, name)
        if peer then
            return peer
        end
    until not ctx.app or #ctx.app.peers > 0 or ngx.now() >= deadline
end

local function set_target(route)
    local target, prefix = rewrite.target(route, var.request_uri)
    var.target = target
    if prefix then
        var.forwarded_prefix = prefix
    end
end

function _M.run()
    local route = routes.find(var.host, var.uri, var.remote_addr)
    local ctx = ngx.ctx
    local app = route and current.app(route.app)
    if not app or not app.is_routable then
        metrics.count(metrics.UNROUTED)
        return pages.send(404)
    end
    set_target(route)
    local peer = _M.take_peer(ctx, route.app)
    if not peer and ctx.app and #ctx.app.peers == 0 and ctx.app.hold_ms > 0 then
        peer = hold(ctx, route.app)
    end
    if not peer then
        ctx.app = app
        return pages.send(503)
    end
    last_ticket = last_ticket + 1
    tickets[last_ticket] = ctx
    ctx.ticket = last_ticket
    var.ticket = last_ticket
end

-- Runs when the answer's head is there.
function _M.answered()
    if ngx.status == 101 then
        local ctx = ngx.ctx
        if ctx.peer and not ctx.is_websocket then
            inflight.upgrade(ctx.peer)
            ctx.is_websocket = true
        end
    end
end

-- The last try of a request is not seen by the balancer any more.
local function note_outcome(peer)
    local is_failed = ngx.status == 502 or ngx.status == 504
    if not is_failed and not ejection.is_watched(peer) then
        return
    end
    -- A try that never connected has no time to connect.
    local is_connected = not (var.upstream_connect_time or "-"):find("-$")
    if is_connected then
        ejection.answered(peer)
    elseif is_failed then
        ejection.failed(peer)
        metrics.count(metrics.keys_of_app(peer.app).ejections)
    end
end

-- Runs once for each request, whatever became of it.
function _M.finished()
    local ctx = ngx.ctx
    if not ctx.ticket then
        ctx = tickets[tonumber(var.ticket)] or ctx
    end
    local peer = ctx.peer
    if ctx.ticket then
        tickets[ctx.ticket] = nil
        ctx.ticket = nil
    end
    if peer then
        ctx.peer = nil
        inflight.lower(peer, ctx.is_websocket)
        note_outcome(peer)
        var.release = peer.release
        var.replica = peer.replica
    end
    if ctx.retries then
        var.retries = ctx.retries
    end
    if ctx.app then
        var.app = ctx.app.name
        metrics.observe(ctx.app, peer, ngx.status, tonumber(var.request_time))
    end
end

return _M
