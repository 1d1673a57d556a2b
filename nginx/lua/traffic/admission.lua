-- Which peer a request gets: one of its app's is picked and counted, waited for while there is none, and left out by everybody
-- when it cannot be reached.
local counters = require "metrics.counters"
local current = require "traffic.current"
local ejection = require "traffic.ejection"
local https = require "traffic.https"
local inflight = require "traffic.inflight"
local pick = require "traffic.pick"
local routes = require "traffic.routes"
local split = require "traffic.split"

local _M = {}

-- How often a held request looks for a peer.
local HOLD_STEP_S = 0.02

-- Picks a peer of the app and counts the request there. The count is raised first and the generation read again after it
-- (law 3 of the design): a flip that did not see the count is seen here, so when a flip is acknowledged, zero means zero.
local function take_peer(held, name, tried)
    local app = current.app(name)
    local peer = app and (app.split and split.pick(held, app, tried) or not app.split and pick.pick(app, tried)) or nil
    local is_counted = peer and inflight.raise(peer)
    if current.has_moved() then
        if is_counted then
            inflight.lower(peer, false)
        end
        return take_peer(held, name, tried)
    end
    held.app = app
    held.peer = is_counted and peer or nil
    return held.peer
end

_M.take_peer = take_peer

-- Returns the route, whether a peer was taken for it, and the target to send; without a route the status to answer with. What is
-- to come back by HTTPS is counted nowhere.
function _M.find(held)
    current.has_moved()
    local generation = current.seen()
    local route, target = routes.find()
    if route and route.tls and route.tls.redirect and https.is_plain() then
        return nil, false, https.REDIRECT
    end
    if route and take_peer(held, route.app) then
        return route, true, target
    end
    if current.seen() ~= generation then
        -- A flip came between: the route may lead to another app now.
        return _M.find(held)
    end
    return route, false, target
end

local function is_holding(app)
    return app and app.is_routable and #app.peers == 0 and app.hold_ms > 0
end

-- While a stop-first app has no peer, its requests wait for the next one. Returns whether there is one.
function _M.hold(held)
    if not is_holding(held.app) then
        return false
    end
    local name = held.app.name
    counters.count(held.app.metrics.held)
    local deadline = ngx.now() + held.app.hold_ms / 1000
    repeat
        ngx.sleep(HOLD_STEP_S)
        if take_peer(held, name) then
            return true
        end
    until not held.app or #held.app.peers > 0 or ngx.now() >= deadline
    return false
end

-- The request is over, begins again, or is answered here: it is counted no more.
function _M.release(held)
    if held.peer then
        inflight.lower(held.peer, held.is_websocket)
    end
end

-- Leaves out a peer that could not be reached.
function _M.eject(peer)
    if ejection.eject(peer) then
        counters.count(counters.keys_of_app(peer.app).ejections)
    end
end

return _M
