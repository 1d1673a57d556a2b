-- What each worker does about a hand-over while time passes: it follows the phase, retires, or takes over from one that is gone.
local ask = require "handover.ask"
local calls = require "handover.calls"
local connections = require "handover.connections"
local counts = require "handover.counts"
local ffi = require "ffi"
local instance = require "handover.instance"
local workers = require "workers"

ffi.cdef [[
int getppid(void);
int kill(int pid, int signal);
]]

local QUIT, TERM = 3, 15

local dict = ngx.shared.handover

local _M = {}

_M.EVERY_S = 0.1

-- A hand-over takes less; whoever has made it is dead.
local LONGEST_FREEZE_S = 20
-- All workers have heard of it by then, or hang.
local LONGEST_ACCEPT_S = 2
-- A connection that is idle after the grace is closed, but not in the moment after an answer.
local CLOSE_EVERY_S = 5
-- How long the one that is to serve may be away before the next one takes its place. A restart takes a second.
local MOST_ABSENT_S = 10
local LOOK_S = 1
local ASK_MS = 1000

-- How often what a retiring proxy counts is sent on: a worker gives its counts to all of them once a second.
local SEND_S = 1

local applied, looked_at, present_at, closed_at = nil, 0, nil, 0
local empty_since, sent_at, is_sending = nil, 0, false

local function apply(phase)
    if phase == applied then
        return
    end
    connections.accept(phase == "serving" or phase == "frozen")
    connections.close_after_answers(false)
    applied = phase
end

local function signal(number)
    ffi.C.kill(ffi.C.getppid(), number)
end

-- All clients that the live workers have; nil while one has not told. It tells once it takes no connection any more.
local function clients()
    local sum = 0
    for _, identity in ipairs(workers.live()) do
        local count = dict:get("clients:" .. identity)
        if not count then
            return nil
        end
        sum = sum + count
    end
    return sum
end

-- Only one worker does this. It ends when the last connection is gone and what was counted for it has been sent on.
local function lead_retiring(now, since)
    if clients() ~= 0 then
        empty_since = nil
    else
        empty_since = empty_since or now
    end
    if is_sending or now - sent_at < SEND_S then
        return
    end
    is_sending, sent_at = true, now
    local is_empty = empty_since and now - empty_since >= 1.5 * SEND_S and now - since >= 5 * _M.EVERY_S
    local serving = instance.appointed()
    if serving and serving ~= instance.number then
        counts.send(serving)
    end
    is_sending = false
    if is_empty then
        ngx.log(ngx.NOTICE, "handover: proxy ", instance.number, " has no connection left and ends")
        signal(QUIT)
    end
end

local function retire()
    -- Connections that came in the moment of the hand-over may have been taken after it.
    connections.accept(false)
    local now, count = ngx.now(), connections.count()
    dict:set("clients:" .. workers.identity, count, 10 * _M.EVERY_S)
    local since = dict:get("retiring_since")
    if not since then
        dict:set("retiring_since", now)
        return
    end
    -- Not before: a client that comes back on a new connection would find a worker of this proxy that still takes it.
    connections.close_after_answers(clients() ~= nil or now - since >= LONGEST_ACCEPT_S)
    if count > 0 and now - since >= (dict:get("grace_s") or 75) and now - closed_at >= CLOSE_EVERY_S then
        connections.close_idle()
        closed_at = now
    end
    if ngx.worker.id() == 0 then
        lead_retiring(now, since)
    end
end

local function is_there(number)
    return ask(number, "GET", "/v1/instance", nil, ASK_MS) ~= nil
end

-- Only one worker does this.
local function stand_by()
    local now = ngx.now()
    if now - looked_at < LOOK_S then
        return
    end
    looked_at = now
    local appointed = instance.appointed()
    if appointed == instance.number then
        -- Begun and not finished, or its lock came free late.
        calls.serve_with(instance.stored_retirees())
        return
    end
    if not appointed or instance.number < appointed or is_there(appointed) then
        present_at = now
        return
    end
    present_at = present_at or now
    if now - present_at >= MOST_ABSENT_S then
        ngx.log(ngx.ALERT, "handover: proxy ", appointed, " is gone, proxy ", instance.number, " serves instead")
        calls.serve_with({ appointed })
    end
end

local function lead(phase)
    if instance.is_orphaned() then
        ngx.log(ngx.WARN, "handover: the container that has the published port has ended; this proxy starts again with it")
        return signal(TERM)
    end
    if phase == "frozen" and ngx.now() - (dict:get("frozen_at") or 0) >= LONGEST_FREEZE_S then
        calls.resolve()
    elseif phase == "standby" then
        stand_by()
    end
end

local function tick(premature)
    if premature then
        return
    end
    local phase = instance.phase()
    apply(phase)
    if ngx.worker.id() == 0 then
        lead(phase)
    end
    if phase == "retiring" then
        retire()
    end
end

-- At the start of each worker: a standby's never takes a connection.
function _M.start()
    if instance.number then
        apply(instance.phase())
        ngx.timer.every(_M.EVERY_S, tick)
    end
end

return _M
