-- A pause of an app, as its record has it: until when, and for how long at most. Who waits for its end is in waiting.lua.
local _M = {}

-- Of a decoded record; nil when there is none.
function _M.of(record)
    local asked = record.pause
    return asked and { until_s = asked.until_ms / 1000, longest_s = asked.for_ms / 1000 }
end

-- Seconds until it is over; nil when it is.
function _M.left(pause)
    local left = pause.until_s - ngx.now()
    return left > 0 and math.min(left, pause.longest_s) or nil
end

return _M
