-- `round` renews the one that is due first; `order HOST PROJECT WHEN [REPLACES]` gets one now, WHEN being `missing` or `always`.
-- Both run under the lock of run.sh, so there is one order at a time.
package.path = "/etc/nginx/certificates/?.lua;" .. package.path

local attempts = require "attempts"
local files = require "files"
local lego = require "lego"
local proxy = require "proxy"

-- How long to wait between two looks, in seconds.
local SHORTEST_S, LONGEST_S = 5, 60
local FAILED, TOO_SOON = 1, 2

local function say(text)
    io.stderr:write("[certificates] ", text, "\n")
end

-- What was got is on the volume before the proxy is told of it: nothing that the CA has counted is lost.
local function deliver(path)
    local entry = files.read_json(path)
    if not entry then
        os.remove(path)
        return false, "what was got cannot be read"
    end
    local ok, why, is_final = proxy.store(entry)
    if ok or is_final then
        os.remove(path)
    end
    if ok then
        attempts.succeeded(entry.host)
        say(("`%s` has a new certificate"):format(entry.host))
    else
        say(("the proxy does not take the certificate of `%s`: %s"):format(entry.host, why))
    end
    return ok, why
end

-- Returns whether it was got and stored, and the words of whoever refused, as lines.
local function order(host, project, replaces)
    local obstacle = attempts.begin(host, os.time())
    if obstacle then
        return false, { obstacle }
    end
    local chain, key = lego.order(host)
    if not chain then
        attempts.failed(host, table.concat(key, " "))
        return false, key
    end
    local path, why = files.keep("pending", host, { host = host, project = project, replaces = replaces, chain = chain, key = key })
    local ok = false
    if path then
        ok, why = deliver(path)
    end
    if not ok then
        attempts.failed(host, why)
        return false, { why }
    end
    return true
end

-- When a third of its life is left, in seconds since 1970.
local function due_at(one)
    return (one.not_after - (one.not_after - one.not_before) / 3) / 1000
end

local function round()
    for _, name in ipairs(files.names(files.FOLDER .. "/pending")) do
        if name:find("%.json$") then
            deliver(files.FOLDER .. "/pending/" .. name)
        end
    end
    local known, why = proxy.certificates()
    if not known then
        say(why)
        return SHORTEST_S
    end
    local now, first, pause, needed = os.time(), nil, LONGEST_S, nil
    for host, one in pairs(known) do
        if one.source == "acme" then
            local attempt = attempts.find(host)
            if attempt then
                proxy.tell(host, attempt)
            end
            local left = math.max(due_at(one) - now, attempt and attempt.next_at - now or 0)
            pause = left > 0 and math.min(pause, left) or pause
            if now >= due_at(one) and attempts.is_due(host, now) and (not first or one.not_after < first.not_after) then
                needed = needed or proxy.needed()
                first = needed[host] and one or first
            end
        end
    end
    if first then
        local ok, words = order(first.host, first.project)
        if not ok then
            say(("the certificate of `%s` is not renewed: %s"):format(first.host, table.concat(words, " ")))
            local attempt = attempts.find(first.host)
            if attempt then
                proxy.tell(first.host, attempt)
            end
        end
        -- There may be more of them.
        return SHORTEST_S
    end
    return math.max(SHORTEST_S, math.ceil(pause))
end

local function order_now(host, project, when, replaces)
    local known, why = proxy.certificates()
    local one = known and known[host]
    if not known then
        return FAILED, { why }
    elseif when == "missing" and one and one.source == "acme" and one.not_after > os.time() * 1000 then
        return 0, { "the proxy has it already" }
    end
    local now = os.time()
    local seconds, last = attempts.wait(host, now)
    if seconds then
        return TOO_SOON, { ("too many orders have failed within an hour; the next one is made in %d min"):format(
            math.ceil(seconds / 60)), "the last one: " .. last }
    end
    local ok, words = order(host, project, replaces)
    if ok then
        return 0, {}
    end
    if one then
        local attempt = attempts.find(host)
        if attempt then
            proxy.tell(host, attempt)
        end
    end
    return FAILED, words
end

if arg[1] == "order" then
    local code, lines = order_now(arg[2], arg[3], arg[4], arg[5])
    for _, line in ipairs(lines) do
        print(line)
    end
    os.exit(code)
end
local ok, result = pcall(round)
if not ok then
    say(tostring(result))
end
print(ok and result or LONGEST_S)
