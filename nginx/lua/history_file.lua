-- The file history.jsonl, appended to and read from its end. Runs in threads of the pool `disk`.
local cjson = require "cjson.safe"
local files = require "files"

local _M = {}

local BLOCK = 64 * 1024

_M.append = files.append_line

local function is_of(line, app)
    local event = cjson.decode(line)
    return type(event) == "table" and event.app == app
end

-- The newest `limit` lines of an app, newest first, as a JSON list. A torn or foreign line is passed over.
function _M.newest(path, app, limit)
    local file, why, number = io.open(path, "rb")
    if not file then
        if number == 2 then
            return "[]"
        end
        return nil, "cannot open " .. why
    end
    local found = {}
    local position, rest = file:seek("end"), ""
    while position > 0 and #found < limit do
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
            if #found < limit and is_of(lines[at], app) then
                found[#found + 1] = lines[at]
            end
        end
        rest = text:sub(1, first - 1)
    end
    file:close()
    return "[" .. table.concat(found, ",") .. "]"
end

return _M
