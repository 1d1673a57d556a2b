-- Certificates in shared memory, by the host of the route that they are for: a name or a wildcard. Never by the names in
-- a certificate, which may be more than its project has routes for.
--   i:<host>  its id, which a handshake looks at first
--   p:<host>  chain and key in PEM, with a zero between them
--   f:<host>  what may be told about it, as JSON
--   r:<host>  how its last renewal failed, as JSON; nothing where none has
local json = require "json"

local dict = ngx.shared.certificates

local _M = {}

-- The PEM first, the id last: a handshake that sees the id finds its certificate.
function _M.put(entry)
    local host = entry.host
    for _, pair in ipairs { { "p:", entry.chain .. "\0" .. entry.key }, { "f:", entry.facts }, { "i:", entry.id } } do
        local ok, why = dict:safe_set(pair[1] .. host, pair[2])
        if not ok then
            return nil, why
        end
    end
    dict:delete("r:" .. host)
    return true
end

function _M.remove(host)
    for _, prefix in ipairs { "i:", "f:", "r:", "p:" } do
        dict:delete(prefix .. host)
    end
end

-- `text` is JSON, nil when all is well.
function _M.set_renewal(host, text)
    return dict:safe_set("r:" .. host, text)
end

local function told(host)
    local text, renewal = dict:get("f:" .. host), dict:get("r:" .. host)
    return text and renewal and ('%s,"renewal":%s}'):format(text:sub(1, -2), renewal) or text
end

-- Something that was found on disk and cannot be used.
function _M.put_failed(host, facts)
    dict:safe_set("f:" .. host, facts)
end

function _M.id(host)
    return dict:get("i:" .. host)
end

-- { id, project, … } as it is told, nil when there is none.
function _M.facts(host)
    local text = told(host)
    return text and json.decode(text)
end

-- Chain and key in PEM.
function _M.pem(host)
    local text = dict:get("p:" .. host)
    if text then
        return text:match("^(%Z*)%z(.*)$")
    end
end

-- The host whose certificate serves `name`, and its id. A certificate's star stands for one label, so a wildcard is looked up
-- once, however many labels a client sends.
function _M.find(name)
    local id = dict:get("i:" .. name)
    if id then
        return name, id
    end
    local dot = name:find(".", 1, true)
    if dot then
        local wildcard = "*" .. name:sub(dot)
        id = dict:get("i:" .. wildcard)
        if id then
            return wildcard, id
        end
    end
end

-- What may be told about all of them, as JSON texts.
function _M.texts()
    local hosts, texts = {}, {}
    for _, key in ipairs(dict:get_keys(0)) do
        hosts[#hosts + 1] = key:match("^f:(.*)$")
    end
    table.sort(hosts)
    for _, host in ipairs(hosts) do
        texts[#texts + 1] = told(host)
    end
    return texts
end

return _M
