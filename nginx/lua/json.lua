-- JSON as the proxy reads and writes it. The library cannot tell an empty list from an empty object, so whatever holds
-- a list is put together as text with `list`.
local cjson = require "cjson.safe"

cjson.decode_invalid_numbers(false)

local _M = { null = cjson.null, decode = cjson.decode }

function _M.encode(value)
    -- The library writes `\/`; an escaped slash reads badly and means the same.
    return (cjson.encode(value):gsub("\\/", "/"))
end

-- Joins texts that are JSON already.
function _M.list(texts)
    return "[" .. table.concat(texts, ",") .. "]"
end

-- As `encode`, with null for what is missing.
function _M.optional(value)
    if value == nil or value == cjson.null then
        return "null"
    end
    return _M.encode(value)
end

-- Bytes of anyone's making, as text that is valid UTF-8: what is not becomes `?`.
function _M.printable(bytes)
    local parts, position = {}, 1
    while position <= #bytes do
        local first = bytes:byte(position)
        local length = first < 0x80 and 1 or first >= 0xC2 and first < 0xE0 and 2
            or first >= 0xE0 and first < 0xF0 and 3 or first >= 0xF0 and first < 0xF5 and 4 or 0
        local char = bytes:sub(position, position + length - 1)
        if length > 0 and #char == length and not char:find("[^\128-\191]", 2) then
            parts[#parts + 1] = char
            position = position + length
        else
            parts[#parts + 1] = "?"
            position = position + 1
        end
    end
    return table.concat(parts)
end

return _M
