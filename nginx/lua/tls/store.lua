-- Keeps certificates: on the state volume first, then in shared memory. Both only under the lock `certificates`.
local disk = require "state.disk"
local files = require "tls.files"
local json = require "json"
local list = require "tls.table"
local state_files = require "state.files"
local x509 = require "tls.x509"

local FOLDER = require("state.store").CERTIFICATES

local _M = {}

local function facts_text(entry, facts)
    local names = {}
    for at, name in ipairs(facts.names) do
        names[at] = json.encode(name)
    end
    return ('{"host":%s,"id":%s,"project":%s,"source":%s,"stored_at":%d,"names":%s,"not_before":%d,"not_after":%d,'
        .. '"issuer":%s,"serial":%s,"error":null}'):format(json.encode(entry.host), json.encode(facts.id),
        json.encode(entry.project), json.encode(entry.source), entry.stored_at, json.list(names), facts.not_before,
        facts.not_after, json.encode(json.printable(facts.issuer)), json.encode(facts.serial))
end

-- `entry` is { host, project, source, stored_at, chain, key } and `facts` what x509.lua read of it.
function _M.put(entry, facts)
    local text = json.encode(entry)
    local ok, problem = disk.run("tls.files", "store", FOLDER, entry.host, text)
    if not ok then
        return nil, problem
    end
    return list.put { host = entry.host, id = facts.id, chain = entry.chain, key = entry.key,
        facts = facts_text(entry, facts) }
end

function _M.remove(host)
    local ok, problem = disk.run("tls.files", "remove", FOLDER, host)
    if ok then
        list.remove(host)
    end
    return ok, problem
end

local function read(host)
    local text, problem = state_files.read(files.path_of(FOLDER, host))
    local entry = text and json.decode(text)
    if type(entry) ~= "table" or entry.host ~= host then
        return nil, problem or "its file is damaged"
    end
    local pair, field, why = x509.parse(entry.chain, entry.key)
    if not pair then
        return nil, ("its %s %s"):format(field, why)
    end
    -- One that has expired meanwhile is still better than none: clients say what is wrong with it.
    local facts
    facts, field, why = x509.facts(pair, host)
    if not facts then
        return nil, ("its %s %s"):format(field, why)
    end
    return list.put { host = host, id = facts.id, chain = entry.chain, key = entry.key, facts = facts_text(entry, facts) }
end

-- Reads what is on disk into shared memory, instead of what is there.
function _M.catch_up()
    ngx.shared.certificates:flush_all()
    ngx.shared.certificates:flush_expired()
    local hosts, problem = files.hosts(FOLDER)
    if not hosts then
        ngx.log(ngx.ALERT, "certificates: ", problem)
    end
    for _, host in ipairs(hosts or {}) do
        local ok, why = read(host)
        if not ok then
            ngx.log(ngx.ALERT, "certificates: that of `", host, "` cannot be used: ", why)
            list.put_failed(host, ('{"host":%s,"id":null,"error":%s}'):format(json.encode(host), json.encode(why)))
        end
    end
    ngx.shared.certificates:set("loaded", true)
end

-- Called once in the master, before any worker. A reload finds it filled.
function _M.load()
    if not ngx.shared.certificates:get("loaded") then
        _M.catch_up()
    end
end

return _M
