-- Rendered by rackwright: what becomes of a request while its model has a planned gap and none of its servers is usable.
-- Arguments: the map of gaps (model → their expected ends, Unix seconds), seconds after which one is heeded no more.
local file, forgotten = ...
local gaps = Map.new(file, Map._str)

local function milliseconds()
    local now = core.now()
    return now.sec * 1000 + now.usec // 1000
end

-- Seconds until the model's gap should end, at least 1. nil: it has none.
local function remaining(model)
    local ends = tonumber(gaps:lookup(model) or "")
    local left = ends and ends - core.now().sec
    return left and left > -forgotten and math.max(1, left) or nil
end

-- An old worker checks no server any more, and takes no word of one at its sockets: that a gap has ended is all it hears.
local function revive(model)
    if core.get_info().Stopping ~= 1 then return end
    for _, server in pairs(core.backends["model." .. model].servers) do
        server:set_ready()
        server:check_force_up()
    end
end

-- Wait so many seconds at most for a server, or the gap's end. Afterwards txn.held has the milliseconds waited, and
-- txn.retry_after, where no server is usable yet, the seconds until one should be.
core.register_action("gap", { "http-req" }, function(txn, longest)
    local model, began, held = txn:get_var("txn.model"), milliseconds(), 0
    local left = remaining(model)
    if not left then return end
    while left and held < longest * 1000 and txn.f:nbsrv() == 0 do
        core.msleep(100)
        left, held = remaining(model), milliseconds() - began
    end
    txn:set_var("txn.held", held)
    if txn.f:nbsrv() > 0 then return end
    if left then txn:set_var("txn.retry_after", left) else revive(model) end
end, 1)
