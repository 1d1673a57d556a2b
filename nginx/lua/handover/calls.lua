-- A hand-over: the proxy that serves freezes, the standby takes the state and the connections, the one from before retires.
-- `POST /v1/handover` is the CLI's; the others are the proxies' among themselves. Contract: README.md.
local about = require "about"
local apps = require "state.apps"
local ask = require "handover.ask"
local certificates = require "tls.store"
local connections = require "handover.connections"
local counts = require "handover.counts"
local deploys = require "metrics.deploys"
local inflight = require "traffic.inflight"
local instance = require "handover.instance"
local json = require "json"
local lease = require "control.lease"
local lock = require "state.lock"
local refuse = require("control.problem").refuse
local store = require "state.store"

local dict = ngx.shared.handover

local _M = {}

local SERVE_MS = 15000
-- How long the lock on the state may take to come over: its owner frees it before it asks, or has just been killed.
local LOCK_S = 2

-- `GET /v1/instance`
function _M.instance()
    return ('{"instance":%s,"phase":"%s","build":%s,"retiring":%s}'):format(json.optional(instance.number),
        instance.phase(), json.encode(about.get().build), json.list(instance.retirees()))
end

-- Serves again when the standby did not; else the standby does, and this one retires.
function _M.resolve()
    if not instance.lock() then
        -- It has the state. Either it serves, or it gives up and this is asked again.
        if instance.appointed() ~= instance.number then
            instance.set_phase("retiring")
        end
    elseif instance.appointed() == instance.number then
        instance.set_phase("serving")
    else
        instance.unlock()
        instance.set_phase("retiring")
    end
end

local function freeze()
    -- Nothing that writes is half done: whoever comes next finds another phase.
    local done = lock.with("table", function()
        return lock.with("history", function()
            return lock.with("snapshot", function()
                return lock.with("certificates", function()
                    if not instance.is_serving() then
                        refuse(409, "not_serving", "this proxy does not serve, or is handing over already")
                    end
                    dict:set("frozen_at", ngx.now())
                    instance.set_phase("frozen")
                    return true
                end)
            end)
        end)
    end, store.discard_unacknowledged)
    if not done then
        refuse(503, "busy", "another call did not end in time, nothing was changed")
    end
    -- Whoever takes a lease looks at the phase after it has it: either they see it frozen, or the lease is seen here.
    local app, held = lease.first()
    if app then
        instance.set_phase("serving")
        lease.refuse_held(app, held)
    end
end

local function check_standby(number)
    local status, answer = ask(number, "GET", "/v1/instance", nil, SERVE_MS)
    if status ~= 200 then
        refuse(503, "standby_absent", ("the new proxy does not answer (%s), nothing was changed"):format(
            status and "status " .. status or answer), {})
    end
    if answer.instance ~= number or answer.phase ~= "standby" then
        refuse(409, "not_standby", ("proxy %d is %s"):format(number, tostring(answer.phase)))
    end
end

function _M.handover(body)
    local to = body.to
    if not instance.number or type(to) ~= "number" or to <= instance.number or to ~= math.floor(to) then
        refuse(422, "invalid_handover", "`to` is not the number of a proxy that was made after this one", { field = "to" })
    end
    local grace_ms = body.grace_ms or 75000
    if type(grace_ms) ~= "number" or grace_ms < 0 then
        refuse(422, "invalid_handover", "`grace_ms` is not a number of milliseconds", { field = "grace_ms" })
    end
    check_standby(to)
    freeze()
    dict:set("grace_s", grace_ms / 1000)
    instance.unlock()
    local retiring = instance.retirees()
    table.insert(retiring, instance.number)
    local counted = counts.all()
    local status, answer = ask(to, "POST", "/v1/serve", ('{"retiring":%s,"counts":%s}'):format(json.list(retiring),
        json.encode(counted)), SERVE_MS)
    if status ~= 200 then
        _M.resolve()
    else
        instance.set_phase("retiring")
        counts.subtract(counted)
    end
    if instance.phase() ~= "retiring" then
        local why = status and answer.error and answer.error.message or answer
        refuse(503, "standby_failed", ("the new proxy did not take over (%s), this one serves on"):format(tostring(why)), {})
    end
    dict:set("retiring_since", ngx.now())
    return ('{"instance":%d,"generation":%d}'):format(to, apps.table_generation())
end

-- Takes the state and the connections. Returns why not.
function _M.serve_with(retiring)
    local deadline = ngx.now() + LOCK_S
    while not instance.lock() do
        if ngx.now() >= deadline then
            return "another proxy holds the state"
        end
        ngx.sleep(0.005)
    end
    local ok, problem = pcall(function()
        store.catch_up()
        store.reserve()
        certificates.catch_up()
        deploys.load(store.HISTORY)
        local begun, why = instance.begin_serving(retiring)
        return begun or error(why, 0)
    end)
    if not ok then
        instance.unlock()
        return tostring(problem)
    end
    connections.accept(true)
    ngx.log(ngx.NOTICE, "handover: proxy ", instance.number, " serves")
end

function _M.serve(body)
    if instance.phase() ~= "standby" then
        refuse(409, "not_standby", "this proxy is " .. instance.phase())
    end
    if type(body.retiring) ~= "table" then
        refuse(422, "invalid_handover", "`retiring` is not a list of numbers", { field = "retiring" })
    end
    if not counts.are_valid(body.counts) then
        refuse(422, "invalid_handover", "`counts` has no numbers by name", { field = "counts" })
    end
    local problem = _M.serve_with(body.retiring)
    if problem then
        refuse(503, "standby_failed", problem)
    end
    counts.add(body.counts)
    return ('{"generation":%d}'):format(apps.table_generation())
end

-- What one that retires has counted since its last call.
function _M.count(body)
    if not counts.are_valid(body.counts) then
        refuse(422, "invalid_counts", "`counts` has no numbers by name", { field = "counts" })
    end
    counts.add_recent(body.counts)
    return "{}"
end

local function alone(work)
    local done, problem = lock.with("table", work)
    if not done then
        refuse(503, problem or "busy", "another call did not end in time")
    end
end

-- A flip of the one that serves, on disk already.
function _M.follow(body)
    if instance.is_serving() or type(body.generation) ~= "number" or type(body.changes) ~= "table" then
        refuse(409, "not_retiring", "this proxy is " .. instance.phase())
    end
    alone(function()
        store.follow(body)
        return true
    end)
    return ('{"generation":%d}'):format(apps.table_generation())
end

-- What is open here, once the flips up to `generation` are followed.
function _M.open(body)
    if type(body.generation) == "number" and not instance.is_serving() and apps.table_generation() < body.generation then
        alone(function()
            store.catch_up()
            return true
        end)
    end
    local texts = {}
    local peers = inflight.all()
    local wanted
    for _, id in ipairs(type(body.peers) == "table" and body.peers or {}) do
        wanted = wanted or {}
        wanted[id] = true
    end
    for id, peer in pairs(peers) do
        if not wanted or wanted[id] then
            texts[#texts + 1] = json.encode(id) .. ":" .. json.encode(peer)
        end
    end
    return ('{"peers":{%s}}'):format(table.concat(texts, ","))
end

return _M
