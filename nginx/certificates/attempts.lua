-- What has failed, by host, and when it may be tried again. An attempt is written down as a failure before it is made: so one that is
-- cut off counts too, and where nothing can be written no order is made at all. No failure is repeated in a loop.
local files = require "files"

local _M = {}

local FIRST_PAUSE_S, LONGEST_PAUSE_S = 3600, 12 * 3600
-- Of orders that somebody asks for: Let's Encrypt takes 5 failures of a host an hour.
local MOST_AN_HOUR, HOUR_S = 3, 3600

function _M.find(host)
    return files.read_json(files.of_host("attempts", host))
end

-- Before an order. Returns why it is not to be made.
function _M.begin(host, now)
    local attempt = _M.find(host) or { failures = 0, recent = {} }
    attempt.failures = attempt.failures + 1
    attempt.at = now
    attempt.next_at = now + math.min(FIRST_PAUSE_S * 2 ^ (attempt.failures - 1), LONGEST_PAUSE_S)
    attempt.error = "the order was cut off"
    table.insert(attempt.recent, now)
    if #attempt.recent > MOST_AN_HOUR then
        table.remove(attempt.recent, 1)
    end
    local ok, why = files.keep("attempts", host, attempt)
    return not ok and "the state volume: " .. why or nil
end

function _M.failed(host, words)
    local attempt = _M.find(host)
    if attempt then
        attempt.error = words
        files.keep("attempts", host, attempt)
    end
end

function _M.succeeded(host)
    os.remove(files.of_host("attempts", host))
end

-- Whether a renewal may be tried by itself. A clock that was set back makes nothing wait.
function _M.is_due(host, now)
    local attempt = _M.find(host)
    return not attempt or now >= attempt.next_at or now < attempt.at
end

-- How many seconds somebody who asks for an order has to wait; nil when it is made now.
function _M.wait(host, now)
    local attempt = _M.find(host)
    local first = attempt and #attempt.recent >= MOST_AN_HOUR and attempt.recent[1]
    if first and now >= first and now - first < HOUR_S then
        return HOUR_S - (now - first), attempt.error
    end
end

return _M
