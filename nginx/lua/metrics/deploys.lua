-- What became of deploys: sums by app and outcome of what the history has been told. The CLI is gone when somebody asks,
-- so they live here; at start they are counted again from the history's file.
local json = require "json"

local dict = ngx.shared.deploys

local _M = {}

_M.OUTCOMES = { "completed", "completed_with_leftovers", "unstable", "rolled_back", "aborted", "cancelled", "disconnected", "stuck" }

-- How much of the history's end is read at start: some 20,000 runs, a fifth of a second. A longer one counts from there.
local MOST_BYTES = 8 * 1024 * 1024

local ENDS = { finished = true, removed = true }

local function add(kind, app, rest, amount)
    if type(amount) == "number" then
        dict:incr(kind .. "|" .. app .. "|" .. rest, amount, 0)
    end
end

local function add_open(kind, app, counts)
    if type(counts) == "table" then
        add(kind, app, "requests", counts.requests)
        add(kind, app, "websockets", counts.websockets)
    end
end

-- Takes in one record of the history, told or read. `at` is in milliseconds.
function _M.count(record, at)
    if not ENDS[record.event] or type(record.outcome) ~= "string" or record.outcome:find("|", 1, true) then
        return
    end
    local app = record.app
    add("outcome", app, record.outcome, 1)
    if type(record.took_ms) == "number" then
        add("took", app, "count", 1)
        add("took", app, "sum", record.took_ms / 1000)
    end
    add_open("drained", app, record.drained)
    add_open("cut", app, record.cut)
    dict:set("at|" .. app .. "|" .. record.outcome, at / 1000)
end

-- In the master, before any worker: a counter that grew while it is read again would be counted twice.
function _M.load(path)
    -- After a reload of nginx.conf the sums are still there.
    local file = dict:add("is_loaded", true) and io.open(path, "rb")
    if not file then
        return
    end
    local size = file:seek("end")
    file:seek("set", math.max(0, size - MOST_BYTES))
    if size > MOST_BYTES then
        file:read("*l")
    end
    for line in file:lines() do
        -- Most lines say that a release was begun; decoding those would double the time.
        local record = (line:find('"finished"', 1, true) or line:find('"removed"', 1, true)) and json.decode(line)
        if type(record) == "table" and type(record.app) == "string" and type(record.at) == "number" then
            _M.count(record, record.at)
        end
    end
    file:close()
end

-- Calls `each(kind, app, rest, value)` for every sum. Of a known app each outcome has a value from the start: a counter
-- that is first seen at 1 has risen by nothing for who computes a rate.
function _M.each(names, each)
    local seen = {}
    for _, key in ipairs(dict:get_keys(0)) do
        local kind, app, rest = key:match("^(%l+)|([^|]+)|(.+)$")
        local value = kind and dict:get(key)
        if value then
            seen[key] = true
            each(kind, app, rest, value)
        end
    end
    local function at_least(kind, app, rest)
        if not seen[kind .. "|" .. app .. "|" .. rest] then
            each(kind, app, rest, 0)
        end
    end
    for _, app in ipairs(names) do
        for _, outcome in ipairs(_M.OUTCOMES) do
            at_least("outcome", app, outcome)
        end
        for _, kind in ipairs({ "drained", "cut" }) do
            at_least(kind, app, "requests")
            at_least(kind, app, "websockets")
        end
    end
end

return _M
