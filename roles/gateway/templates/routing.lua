-- Rendered by rackwright: which replica has computed the beginning of a request's conversation. Each conversation has an order
-- of the replicas of its own, the same at every gateway (rendezvous hashing), so one that comes or goes moves only its own.
-- It gets the first one of them that isn't much busier than the others.
-- Arguments: how much busier than the mean a replica may be, in percent, and how many requests never make it too busy.
local most_percent, few = tonumber((...)), tonumber((select(2, ...)))

-- How long a replica's state is remembered, in milliseconds: it takes long to ask for, and checks are no more frequent. A replica
-- that is down gets nothing, whatever is remembered.
local REMEMBERED_MS = 250

local states = {}

-- Not with sample fetches, like srv_is_up: in Lua, HAProxy 3.0 writes into the text that names the server.
local function is_up(place, server)
    local now = core.now()
    local milliseconds = now.sec * 1000 + now.usec // 1000
    local state = states[place]
    if not state or milliseconds - state.since > REMEMBERED_MS then
        state = { up = server:get_stats().status:find("^UP") ~= nil, since = milliseconds }
        states[place] = state
    end
    return state.up
end

-- Return the usable replicas of a backend with their running and queued requests, and all those requests together.
local function usable(backend)
    local found, total = {}, 0
    for name, server in pairs(core.backends[backend].servers) do
        if not server:is_draining() and is_up(backend .. "/" .. name, server) then
            local busy = server:get_cur_sess() + server:get_pend_conn()
            found[#found + 1] = { name = name, busy = busy }
            total = total + busy
        end
    end
    return found, total
end

-- Set txn.home to the replica, if one of them has a free slot that isn't too busy. Without it, any replica gets the request.
core.register_action("route", { "http-req" }, function(txn, backend, slots)
    local servers, total = usable(backend)
    if #servers < 2 then return end
    local named = txn.f:req_hdr("x-conversation-id")
    local whose = txn:get_var("txn.key") .. "|" .. (named and "named|" .. named or txn:get_var("txn.beginning")) .. "|"
    local limit = math.min(tonumber(slots), math.max(few, math.ceil((total + 1) * most_percent / 100 / #servers)))
    local home, highest
    for _, server in ipairs(servers) do
        local score = txn.c:xxh32(whose .. server.name) & 0xFFFFFFFF
        if server.busy < limit and (not home or score > highest) then home, highest = server.name, score end
    end
    if home then txn:set_var("txn.home", home) end
end, 2)
