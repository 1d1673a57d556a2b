-- Addresses of both families, and lists of networks in CIDR form that they are looked up in.
local bit = require "bit"
local ffi = require "ffi"

local _M = {}

ffi.cdef [[
int inet_pton(int family, const char *text, void *address);
const char *inet_ntop(int family, const void *address, char *text, unsigned int size);
]]

local INET, INET6 = 2, 10
-- IPv4 is kept as IPv6 writes it, so that one comparison serves both.
local MAPPED = ("\0"):rep(10) .. "\255\255"
local LONGEST = 45
local MOST_VERDICTS = 1024

local buffer = ffi.new("unsigned char[16]")
local shown = ffi.new("char[46]")

-- The 16 bytes of an address; nil when the text is none.
function _M.parse(text)
    if #text > LONGEST or text:find("%z") then
        return nil
    elseif ffi.C.inet_pton(INET, text, buffer) == 1 then
        return MAPPED .. ffi.string(buffer, 4)
    elseif ffi.C.inet_pton(INET6, text, buffer) == 1 then
        return ffi.string(buffer, 16)
    end
end

function _M.is_ipv4(address)
    return address:sub(1, 12) == MAPPED
end

-- One spelling for each address.
function _M.show(address)
    local is_ipv4 = _M.is_ipv4(address)
    ffi.copy(buffer, is_ipv4 and address:sub(13) or address, is_ipv4 and 4 or 16)
    ffi.C.inet_ntop(is_ipv4 and INET or INET6, buffer, shown, 46)
    return ffi.string(shown)
end

-- A network, or one address; nil when the text is neither.
function _M.range(text)
    local address, prefix = text:match("^([^/]+)/(%d+)$")
    local bytes = _M.parse(address or text)
    if not bytes then
        return nil
    end
    local length = tonumber(prefix) or 128
    if prefix and _M.is_ipv4(bytes) and not address:find(":", 1, true) then
        length = length + 96
    end
    if length > 128 then
        return nil
    end
    local whole = math.floor(length / 8)
    local mask = length % 8 == 0 and 0 or bit.band(bit.lshift(0xff, 8 - length % 8), 0xff)
    local rest = mask ~= 0 and bit.band(bytes:byte(whole + 1), mask) or 0
    return { head = bytes:sub(1, whole), whole = whole, mask = mask, rest = rest }
end

local function is_within(address, range)
    if address:sub(1, range.whole) ~= range.head then
        return false
    end
    return range.mask == 0 or bit.band(address:byte(range.whole + 1), range.mask) == range.rest
end

-- A list of such texts, with `covers(address)`. What was found is kept for a bounded number of addresses.
function _M.list(texts)
    local ranges, verdicts, count = {}, {}, 0
    for position, text in ipairs(texts) do
        ranges[position] = _M.range(text) or error("not an address or a network: " .. text)
    end
    local function look_up(address)
        for _, range in ipairs(ranges) do
            if is_within(address, range) then
                return true
            end
        end
        return false
    end
    return {
        covers = function(address)
            local verdict = verdicts[address]
            if verdict == nil then
                if count >= MOST_VERDICTS then
                    verdicts, count = {}, 0
                end
                verdict = look_up(address)
                verdicts[address], count = verdict, count + 1
            end
            return verdict
        end,
    }
end

return _M
