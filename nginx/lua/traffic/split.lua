-- Which of two releases gets a request while one of them is on trial. Each is a pool of its own, and a request stays in the pool that
-- it was given as long as anything there can be reached. By the same cookie or address it is always the same one: a larger weight
-- brings more clients to the canary and takes nobody away from it.
local add_header = require("ngx.resp").add_header
local pick = require "traffic.pick"
local request = require "traffic.request"

local get = request.get

local _M = {}

local ALL = 10000
local COOKIE = "deploy_apps_canary"
-- Longer than any canary.
local COOKIE_TAIL = "; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax"

-- A number below ALL, evenly over all texts.
local function hash(split, text)
    local a, b, c, d = ngx.md5_bin(split.salt .. text):byte(1, 4)
    return (((a * 256 + b) * 256 + c) * 256 + d) % ALL
end

local function own_cookie(held)
    local known = get("cookie_" .. COOKIE)
    if known and #known == 16 and known:find("^%x+$") then
        return known
    end
    held.new_cookie = ("%08x%08x"):format(math.random(0, 2 ^ 32 - 1), math.random(0, 2 ^ 32 - 1))
    return held.new_cookie
end

local function draw(split, held)
    if split.sticky == "cookie" then
        return hash(split, own_cookie(held))
    elseif split.sticky == "client" then
        return hash(split, get("client_addr"))
    end
    return math.random(0, ALL - 1)
end

-- A request keeps its number: looked at again after a flip, it is where it would have been.
local function is_chosen(split, held)
    if split.variable and get(split.variable) == split.value then
        return true
    end
    held.draw = held.draw or draw(split, held)
    return held.draw < split.weight
end

-- As `pick.pick`. A request that has been sent once is not drawn again.
function _M.pick(held, app, tried)
    local split = app.split
    if not held.is_begun or held.is_canary == nil then
        held.is_canary = is_chosen(split, held)
    end
    local own, other = split.stable, split.canary
    if held.is_canary then
        own, other = other, own
    end
    return pick.usable(own, tried) or pick.usable(own) or pick.usable(other, tried) or pick.pick(own, tried)
        or pick.pick(other, tried)
end

-- Runs when the head of the answer is there.
function _M.tell(held)
    if held.new_cookie then
        local secure = get("client_proto") == "https" and "; Secure" or ""
        add_header("Set-Cookie", COOKIE .. "=" .. held.new_cookie .. COOKIE_TAIL .. secure)
    end
end

return _M
