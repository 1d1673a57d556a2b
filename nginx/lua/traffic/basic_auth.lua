-- Basic auth: who has no name and password of the app's list gets 401. A password is compared with its hash once (bcrypt.lua, in a
-- thread); what came of it is remembered, by a keyed digest of the credential, for as long as the list is the same. The key is made
-- when the proxy starts and stands nowhere. Few are compared at once, of each client fewer, so that nobody's guesses keep others out.
local ffi = require "ffi"
local ranges = require "ranges"
local request = require "traffic.request"

local get = request.get

local dict = ngx.shared.credentials

local _M = { RIGHT = 1, WRONG = 2 }

ffi.cdef [[
const void *EVP_sha256(void);
unsigned char *HMAC(const void *kind, const void *key, int key_length, const unsigned char *text, size_t length,
                    unsigned char *digest, unsigned int *digest_length);
]]

local LONGEST = 1024
local RIGHT_S, WRONG_S = 600, 10
-- In this worker: of all clients, and of one. What more there is gets 503 or 429.
local MOST, MOST_OF_CLIENT = 32, 4
-- Who brings a credential that is being compared waits for that; so many at most.
local MOST_WAITING, STEP_S = 256, 0.02
local POOL = "passwords"

local key = (function()
    local file = assert(io.open("/dev/urandom", "rb"))
    local bytes = file:read(32)
    file:close()
    return bytes
end)()
local digest, length = ffi.new("unsigned char[32]"), ffi.new("unsigned int[1]")

local open, open_of = 0, {}
local pending, waiting = {}, 0

-- Of a decoded record; nil when there is none.
function _M.of(record)
    local asked = record.basic_auth
    if not asked then
        return nil
    end
    local hashes = {}
    for _, user in ipairs(asked.users) do
        hashes[user.name] = user.hash
    end
    return {
        hashes = hashes,
        -- A name that is not there takes as long as one that is.
        other_hash = asked.users[1].hash,
        prefix = record.project .. "/" .. record.app .. "|" .. asked.digest .. "|",
        challenge = ('Basic realm="%s", charset="UTF-8"'):format(asked.realm),
        is_forwarded = asked.forward,
    }
end

-- The request's credential as `name:password`; nil when it has none that could be right.
local function credential()
    local header = get("http_authorization")
    local encoded = header and #header <= LONGEST and header:match("^[Bb][Aa][Ss][Ii][Cc] +([%w+/=]+) *$")
    local text = encoded and ngx.decode_base64(encoded)
    return text and text:find(":", 2, true) and not text:find("%z") and text or nil
end

local function place(auth, text)
    local whole = auth.prefix .. text
    ffi.C.HMAC(ffi.C.EVP_sha256(), key, #key, whole, #whole, digest, length)
    return ffi.string(digest, 32)
end

-- RIGHT, WRONG, or nil when it has to be compared: then also the credential, and where the verdict goes.
function _M.verdict(auth)
    local text = credential()
    if not text then
        return _M.WRONG
    end
    local where = place(auth, text)
    return dict:get(where), text, where
end

local function client_key()
    local address = ranges.parse(get("client_addr")) or ""
    return ranges.is_ipv4(address) and address or address:sub(1, 8)
end

local function compare(auth, text)
    local name, password = text:match("^([^:]+):(.*)$")
    local hash = auth.hashes[name]
    local is_run, is_right = ngx.run_worker_thread(POOL, "traffic.bcrypt", "is_right", password, hash or auth.other_hash)
    if not is_run then
        return nil
    end
    return is_right == true and hash ~= nil
end

-- A browser that opens several connections brings the same credential on each of them.
local function wait_for(where)
    if waiting >= MOST_WAITING then
        return nil, 503
    end
    waiting = waiting + 1
    repeat
        ngx.sleep(STEP_S)
    until not pending[where]
    waiting = waiting - 1
    local verdict = dict:get(where)
    return verdict, not verdict and 503 or nil
end

-- Compares, which takes a while. Returns the verdict; or nil, and the status to answer with.
function _M.check(auth, text, where)
    if pending[where] then
        return wait_for(where)
    end
    local client = client_key()
    local count = open_of[client] or 0
    if count >= MOST_OF_CLIENT then
        return nil, 429
    elseif open >= MOST then
        return nil, 503
    end
    open, open_of[client], pending[where] = open + 1, count + 1, true
    local is_right = compare(auth, text)
    open, open_of[client] = open - 1, open_of[client] > 1 and open_of[client] - 1 or nil
    local verdict = is_right and _M.RIGHT or is_right == false and _M.WRONG or nil
    if verdict then
        dict:set(where, verdict, is_right and RIGHT_S or WRONG_S)
    end
    pending[where] = nil
    return verdict, not verdict and 503 or nil
end

-- The request goes on to the app.
function _M.pass(auth)
    if not auth.is_forwarded then
        ngx.req.clear_header("Authorization")
    end
end

return _M
