-- What a scraper is to ask, as Prometheus' HTTP service discovery wants it: every replica whose app tells metrics of its
-- own, and every app as its users reach it.
local apps = require "state.apps"
local inflight = require "traffic.inflight"
local json = require "json"
local record = require "state.record"

local _M = {}

-- Under this name the proxy is known to every service in its network.
local PROXY = "http://deploy-apps-proxy"

local function decoded(name)
    local text = apps.record_text(name)
    return text and record.decode(text)
end

local function socket(address, port)
    return (address:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(address, port)
end

local function group(target, labels)
    return ('{"targets":[%s],"labels":%s}'):format(json.encode(target), json.encode(labels))
end

local function replica(of, id, peer)
    return group(socket(peer.address, peer.port), {
        instance = id, project = of.project, app = of.app, release = tostring(peer.release),
        replica = tostring(peer.replica), version = peer.version, __metrics_path__ = of.metrics,
    })
end

-- Every replica that serves or drains. One that drains is in no record any more, but something is open there.
function _M.replicas()
    local found, measured, listed = {}, {}, {}
    for _, name in ipairs(apps.names()) do
        local of = decoded(name)
        if of and of.metrics then
            measured[name] = of
            for _, peer in ipairs(of.peers) do
                if peer.port then
                    listed[peer.id] = true
                    found[#found + 1] = replica(of, peer.id, peer)
                end
            end
        end
    end
    for id, peer in pairs(inflight.all()) do
        local of = measured[peer.app]
        if of and not listed[id] then
            found[#found + 1] = replica(of, id, peer)
        end
    end
    table.sort(found)
    return json.list(found)
end

-- The first route that leads to one place: a wildcard's hosts are anyone's guess, and a redirect leads out of the network.
local function first_route(of)
    for _, route in ipairs(of.routes) do
        local is_plain = not route.tls or not route.tls.redirect
        if is_plain and (not route.host or route.host:sub(1, 1) ~= "*") then
            return route
        end
    end
end

-- Every app that has replicas, by its first route; `hostname` is blackbox_exporter's word for the Host header.
function _M.routes()
    local found = {}
    for _, name in ipairs(apps.names()) do
        local of = decoded(name)
        local route = of and #of.peers > 0 and first_route(of)
        if route then
            found[#found + 1] = group(PROXY .. route.path, { project = of.project, app = of.app,
                __param_hostname = route.host })
        end
    end
    table.sort(found)
    return json.list(found)
end

function _M.serve(name)
    ngx.header["Content-Type"] = "application/json"
    ngx.print(_M[name](), "\n")
end

return _M
