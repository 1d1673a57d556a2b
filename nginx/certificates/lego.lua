-- Runs lego, the ACME client: one order, and the certificate or the CA's words that come of it.
local files = require "files"

local _M = {}

local HOME = files.FOLDER .. "/lego"
local OUTPUT = "/tmp/lego.log"
-- In seconds; a CA answers within some, a DNS provider may take a minute or two.
local LIMIT_S = 180
local MOST_LINES = 12

local function dns()
    local provider = os.getenv("ACME_DNS_PROVIDER")
    if not provider then
        return nil
    end
    local options = { "--dns", provider }
    for resolver in (os.getenv("ACME_DNS_RESOLVERS") or ""):gmatch("[^,]+") do
        options[#options + 1] = "--dns.resolvers"
        options[#options + 1] = resolver
    end
    if os.getenv("ACME_DNS_PROPAGATION_CHECK") == "off" then
        options[#options + 1] = "--dns.disable-cp"
    end
    return options
end

local function options(host)
    local found = { "--accept-tos", "--path", HOME, "--email", os.getenv("ACME_EMAIL") or "", "--server",
        os.getenv("ACME_SERVER") or "", "--key-type", "ec256", "--domains", host }
    local how = dns() or { "--http", "--http.webroot", files.FOLDER .. "/www" }
    for _, option in ipairs(how) do
        found[#found + 1] = option
    end
    return found
end

-- What of lego's output says why: the CA's words about the host, else the last lines.
local function words(host, code)
    if code == 124 or code == 137 then
        return { ("the order did not end within %d s"):format(LIMIT_S) }
    end
    local said, lines = {}, {}
    for line in (files.read(OUTPUT) or ""):gmatch("[^\n]+") do
        local plain = line:gsub("^%d+/%d+/%d+ %d+:%d+:%d+ ", ""):gsub("^%s+", "")
        local of_host = plain:match("^%[" .. host:gsub("%W", "%%%0") .. "%] acme: error: (.*)$")
            or plain:match("^error: .-%[" .. host:gsub("%W", "%%%0") .. "%] (.*)$")
        if of_host then
            said[#said + 1] = of_host
        elseif plain ~= "" and not plain:find("^%[INFO%]") then
            lines[#lines + 1] = plain
        end
    end
    local found = #said > 0 and said or lines
    while #found > MOST_LINES do
        table.remove(found, 1)
    end
    return #found > 0 and found or { ("lego ended with %d"):format(code) }
end

-- Returns chain and key in PEM; nil and the words of whoever refused, as lines.
function _M.order(host)
    if not files.make("www/.well-known/acme-challenge") then
        return nil, { "the state volume cannot be written" }
    end
    local command, found = {}, options(host)
    for at = 1, #found do
        command[at] = "%s"
    end
    local made = ("%s/certificates/%s"):format(HOME, (host:gsub("^%*", "_")))
    local run = function()
        return files.run(("timeout -k 5 %d lego %s run > %s 2>&1 < /dev/null"):format(LIMIT_S, table.concat(command, " "), OUTPUT),
            unpack(found))
    end
    local code = run()
    if code ~= 0 and (files.read(OUTPUT) or ""):find("accountDoesNotExist", 1, true) then
        -- The CA has forgotten the account. Its key is kept, and registered once more.
        files.run("find %s -name account.json -delete", HOME .. "/accounts")
        code = run()
    end
    local chain, key = files.read(made .. ".crt"), files.read(made .. ".key")
    -- What counts is in the proxy's own files; the account alone stays here.
    files.run("rm -rf %s", HOME .. "/certificates")
    if code ~= 0 or not chain or not key then
        return nil, words(host, code)
    end
    return chain, key
end

return _M
