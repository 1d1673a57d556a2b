-- Compares a password with a bcrypt hash. That takes up to a third of a second on purpose, so it runs in a thread of the pool
-- `passwords` (traffic/basic_auth.lua), never in the event loop; and with the lowest priority, so that requests go first.
local bit = require "bit"
local ffi = require "ffi"

local _M = {}

-- libxcrypt, which nginx itself is linked with. The data is its `struct crypt_data`, whose size is part of its interface.
ffi.cdef [[
char *crypt_r(const char *password, const char *setting, void *data);
int setpriority(int which, unsigned int who, int priority);
]]

local DATA_BYTES = 32768
local OF_THREAD, LOWEST = 0, 19

local data = ffi.new("char[?]", DATA_BYTES)

-- In the same time wherever they differ.
local function is_equal(one, other)
    if #one ~= #other then
        return false
    end
    local difference = 0
    for position = 1, #one do
        difference = bit.bor(difference, bit.bxor(one:byte(position), other:byte(position)))
    end
    return difference == 0
end

-- nil, and why, where the hash is none.
function _M.is_right(password, hash)
    ffi.C.setpriority(OF_THREAD, 0, LOWEST)
    ffi.fill(data, DATA_BYTES)
    local found = ffi.C.crypt_r(password, hash, data)
    local text = found ~= nil and ffi.string(found) or "*"
    ffi.fill(data, DATA_BYTES)
    if text:sub(1, 1) == "*" then
        return nil, "not a hash"
    end
    return is_equal(text, hash)
end

return _M
