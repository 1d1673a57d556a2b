-- An app's record as text: one spelling for the shared table, the journal, the snapshot and the state that a CLI reads.
local json = require "json"

local _M = {}

local encode, optional = json.encode, json.optional

local function route(value)
    return ('{"host":%s,"path":%s,"strip":%s}'):format(optional(value.host), encode(value.path), tostring(value.strip))
end

local function peer(value)
    return ('{"id":%s,"address":%s,"port":%s,"release":%d,"replica":%d,"version":%s}'):format(
        encode(value.id), encode(value.address), optional(value.port), value.release, value.replica,
        encode(value.version))
end

-- Left out where there is none, so that a record without it is the same text as ever.
local function scale(value)
    return value and (',"scale":{"replicas":%d,"file":%s}'):format(value.replicas, optional(value.file)) or ""
end

-- Left out likewise.
local function metrics(value)
    return value and (',"metrics":%s'):format(encode(value)) or ""
end

local function each(items, encode_item)
    local texts = {}
    for position, item in ipairs(items) do
        texts[position] = encode_item(item)
    end
    return json.list(texts)
end

-- The routes alone: two releases with the same text need no change of the index.
function _M.routes(value)
    return each(value.routes, route)
end

-- `value` is canonical (validate.lua).
function _M.encode(value)
    local head = ('{"project":%s,"app":%s,"release":%d,"version":%s'):format(encode(value.project), encode(value.app),
        value.release, encode(value.version))
    local rest = (',"routes":%s,"balance":%s,"hold_ms":%d%s%s,"peers":%s}'):format(_M.routes(value),
        encode(value.balance), value.hold_ms, scale(value.scale), metrics(value.metrics),
        each(value.peers, peer))
    return head .. rest
end

-- Back from `encode`; null becomes nil.
function _M.decode(value)
    local record, problem = json.decode(value)
    if not record then
        return nil, problem
    end
    for _, item in ipairs(record.routes) do
        item.host = item.host ~= json.null and item.host or nil
    end
    if record.scale == json.null then
        record.scale = nil
    end
    if record.metrics == json.null then
        record.metrics = nil
    end
    for _, item in ipairs(record.peers) do
        item.port = item.port ~= json.null and item.port or nil
    end
    return record
end

return _M
