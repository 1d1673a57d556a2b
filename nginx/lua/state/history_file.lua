-- The file history.jsonl, appended to and read from its end. Runs in threads of the pool `disk`.
local cjson = require "cjson.safe"
local files = require "state.files"

local _M = {}

local BLOCK = 64 * 1024

_M.append = files.append_line

-- The app that a line is about. Lines of ours begin with it; decoding each one would cost seconds in a long history.
local function app_of(line)
    local app = line:match('^{"at":%d+,%s*"app":%s*"([^"\\]*)"')
    if app then
        return app
    end
    local event = cjson.decode(line)
    return type(event) == "table" and event.app
end

-- How many lines of each app are still wanted. Each is taken off when it has enough, so an empty table ends the search.
local function wanted(names, limit)
    local open = {}
    for name in names:gmatch("%S+") do
        open[name] = limit
    end
    return open
end

local function take(line, open, found)
    local app = app_of(line)
    local left = app and open[app]
    -- A torn line is passed over: it was never acknowledged.
    if left and cjson.decode(line) then
        found[#found + 1] = line
        open[app] = left > 1 and left - 1 or nil
    end
end

-- The newest `limit` lines of each app in `names` (a line each), newest first, as a JSON list.
function _M.newest(path, names, limit)
    local file, why, number = io.open(path, "rb")
    if not file then
        if number == 2 then
            return "[]"
        end
        return nil, "cannot open " .. why
    end
    local open, found = wanted(names, limit), {}
    local position, rest = file:seek("end"), ""
    while position > 0 and next(open) do
        local size = math.min(BLOCK, position)
        position = position - size
        file:seek("set", position)
        local text = file:read(size) .. rest
        -- The first line of the block may begin in the block before it.
        local first = position == 0 and 1 or (text:find("\n", 1, true) or #text) + 1
        local lines = {}
        for line in text:sub(first):gmatch("[^\n]+") do
            lines[#lines + 1] = line
        end
        for at = #lines, 1, -1 do
            take(lines[at], open, found)
        end
        rest = text:sub(1, first - 1)
    end
    file:close()
    return "[" .. table.concat(found, ",") .. "]"
end

return _M
