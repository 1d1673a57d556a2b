-- What the proxy is and what it knows: `GET /version` and `GET /v1/state`.
local about = require "about"
local apps = require "state.apps"
local ejection = require "traffic.ejection"
local inflight = require "traffic.inflight"
local certificates = require "tls.table"
local instance = require "handover.instance"
local json = require "json"
local lease = require "control.lease"
local counters = require "metrics.counters"
local rates = require "metrics.rates"
local schema = require "state.schema"
local retirees = require "handover.retirees"
local workers = require "workers"

local _M = {}

local FEATURES = json.encode(schema.features())

function _M.version()
    local proxy = about.get()
    return ('{"api":%d,"build":%s,"nginx":"%s","started_at":%d,"now":%d,"generation":%d,"workers":%d,"instance":%s,"retiring":%s}'):format(
        proxy.api, json.encode(proxy.build), proxy.nginx, proxy.started_at, ngx.now() * 1000, apps.table_generation(),
        #workers.live(), json.optional(instance.number), json.list(retirees.present()))
end

local function app_text(name)
    local text, generation = apps.record_text(name)
    return ('%s:{"generation":%d,"last_release":%d,"served":[%s],"record":%s}'):format(json.encode(name),
        generation or apps.generation(name) or 0, apps.last_release(name), apps.served(name), text or "null")
end

-- The names asked for with `app=`, else all. An app that never was is left out.
local function chosen(arguments)
    local asked = arguments.app
    if not asked then
        return apps.names()
    end
    local names = {}
    for _, name in ipairs(type(asked) == "table" and asked or { asked }) do
        if type(name) == "string" and apps.is_known(name) then
            names[#names + 1] = name
        end
    end
    return names
end

local function in_flight()
    local texts = {}
    for id, peer in pairs(retirees.with(inflight.all())) do
        texts[#texts + 1] = ('%s:{"requests":%d,"websockets":%d}'):format(json.encode(id), peer.requests,
            peer.websockets)
    end
    table.sort(texts)
    return "{" .. table.concat(texts, ",") .. "}"
end

function _M.state(arguments)
    local texts = {}
    for position, name in ipairs(chosen(arguments)) do
        texts[position] = app_text(name)
    end
    local proxy = about.get()
    local head = ('{"api":%d,"features":%s,"build":%s,"generation":%d'):format(proxy.api, FEATURES,
        json.encode(proxy.build), apps.table_generation())
    local asked = arguments.rates
    if asked then
        counters.flush()
    end
    return head .. (',"apps":{%s},"in_flight":%s,"leases":%s,"ejected":%s,"certificates":%s,"rates":%s}'):format(
        table.concat(texts, ","), in_flight(), json.list(lease.texts()), json.list(ejection.texts()),
        json.list(certificates.texts()),
        type(asked) == "string" and rates.text(asked) or "null")
end

return _M
