-- New requests of a paused app wait here until it is resumed, or the pause is over by itself. They are counted at no replica
-- meanwhile, so what is open there comes to its end. Who waits costs no time: one look-out in each worker wakes them, the first to
-- come first.
local current = require "traffic.current"
local pages = require "traffic.pages"
local pause = require "traffic.pause"
local semaphore = require "ngx.semaphore"

local _M = {}

-- How often the look-out looks, and how many it wakes then: an app gets what has waited within moments, not all in one.
local STEP_S, WOKEN = 0.01, 50
-- Which part of a worker's connections may wait for one app, and for all.
local SHARE, SHARE_OF_ALL = 1 / 8, 1 / 4

local gates, waiting_of_all = {}, 0
local most, most_of_all = 64, 128

-- `connections` are those of a worker.
function _M.limit(connections)
    most, most_of_all = math.floor(connections * SHARE), math.floor(connections * SHARE_OF_ALL)
end

local function left_of(name)
    current.has_moved()
    local app = current.app(name)
    local asked = app and app.rules and app.rules.pause
    return asked and pause.left(asked)
end

local function look_out(_, gate)
    while gate.waiting > 0 do
        local asleep = -gate.semaphore:count()
        if asleep > 0 and not left_of(gate.name) then
            gate.semaphore:post(math.min(asleep, WOKEN))
        end
        ngx.sleep(STEP_S)
    end
end

local function enter(held, name)
    local gate = gates[name]
    if gate and gate.waiting >= most or waiting_of_all >= most_of_all then
        return nil
    end
    if not gate then
        gate = { name = name, waiting = 0, semaphore = semaphore.new() }
        gates[name] = gate
    end
    held.gate = gate
    gate.waiting, waiting_of_all = gate.waiting + 1, waiting_of_all + 1
    if not gate.is_watched then
        -- Where there is no look-out, as in a worker that ends, each request looks itself.
        gate.is_watched = ngx.timer.at(0, look_out, gate) ~= nil
    end
    return gate
end

-- Gives the place back, also when the client has gone.
function _M.leave(held)
    local gate = held.gate
    held.gate = nil
    gate.waiting, waiting_of_all = gate.waiting - 1, waiting_of_all - 1
    -- The look-out ends with its gate.
    if gate.waiting == 0 then
        gates[gate.name] = nil
    end
end

-- Waits for the pause's end. Returns false when the request is answered here: too many wait, or it has waited for as long as any may.
function _M.wait(held, name)
    local left = left_of(name)
    if not left then
        return true
    end
    local gate = enter(held, name)
    if not gate then
        pages.send(503, math.ceil(left))
        return false
    end
    local deadline = ngx.now() + left
    repeat
        gate.semaphore:wait(gate.is_watched and deadline - ngx.now() + 1 or STEP_S * 5)
        left = left_of(name)
    until not left or ngx.now() >= deadline
    _M.leave(held)
    if left then
        pages.send(503, math.ceil(left))
        return false
    end
    return true
end

return _M
