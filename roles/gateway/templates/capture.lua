-- Rendered by rackwright: copies of requests for the unit rackwright-capture. A request only leaves a copy in a queue and goes
-- on. If the unit is slow or down, copies are dropped and counted, and the unit learns the counts when it takes copies again.
-- Arguments: the unit's socket, and how many copies and bytes of copies each thread keeps.
local address, most_copies, most_bytes = "unix@" .. (...), tonumber((select(2, ...))), tonumber((select(3, ...)))

-- How long the unit may take for one part, and the least and most time to wait after it failed, in seconds.
local PATIENCE, LEAST_PAUSE, MOST_PAUSE = 10, 1, 10
-- Copies are delivered together, because each delivery takes time from the thread's requests: after this many looks, one
-- every so many milliseconds, or once a quarter of the queue is full.
local LOOKS, LOOK_MS = 15, 20

local queue, waiting, waiting_bytes = core.queue(), 0, 0
-- Why copies were dropped → how many that the unit doesn't know of yet.
local dropped = {}
-- Whether the queue has an empty text, which only wakes the task.
local woken = false

local function drop(why, count)
    dropped[why] = (dropped[why] or 0) + count
    -- Wake the task, so that the unit learns of it.
    if waiting == 0 and not woken then
        woken = true
        queue:push("")
    end
end

local function full(size) return waiting >= most_copies or waiting_bytes + size > most_bytes end

local function keep(head, body)
    if full(#body) then
        drop("full", 1)
        return
    end
    waiting, waiting_bytes = waiting + 1, waiting_bytes + #body
    queue:push(head .. body)
end

local function copy(txn)
    local size = txn:get_var("txn.body_bytes")
    if size > math.min(tonumber(txn:get_var("txn.capture_most")), most_bytes) then
        drop("large", 1)
        return
    end
    if full(size) then
        drop("full", 1)
        return
    end
    local now = core.now()
    local head = string.format(
        "request %d.%06d %s %s %s %s %d\n",
        now.sec, now.usec, txn.f:unique_id(), txn:get_var("txn.key"), txn.f:path(), txn:get_var("txn.name"), size
    )
    -- A large request isn't here yet, but passes through a filter.
    if (txn:get_var("txn.found") or "") ~= "" then
        txn:set_var("txn.copied", head)
    else
        keep(head, txn.f:req_body())
    end
end

-- Whatever goes wrong here is the copy's loss, never the request's.
core.register_action("capture", { "http-req" }, function(txn)
    if not pcall(copy, txn) then drop("fault", 1) end
end)

local Copy = { id = "copy", flags = filter.FLT_CFG_FL_HTX }
Copy.__index = Copy

function Copy:new() return setmetatable({ parts = {} }, Copy) end

function Copy:http_headers(txn, message)
    if not message.channel:is_resp() then
        self.head = txn:get_var("txn.copied")
        if self.head then filter.register_data_filter(self, message.channel) end
    end
    return filter.CONTINUE
end

function Copy:http_payload(_, message)
    local text = message:body() or ""
    self.parts[#self.parts + 1] = text
    if message:eom() and not pcall(keep, self.head, table.concat(self.parts)) then drop("fault", 1) end
    return #text
end

core.register_filter("copy", Copy, function(copying) return copying end)

local function said(socket, text)
    local sent, why = socket:send(text)
    if not sent then error(why or "closed") end
end

local function gather()
    for _ = 1, LOOKS do
        if waiting * 4 > most_copies or waiting_bytes * 4 > most_bytes then return end
        core.msleep(LOOK_MS)
    end
end

-- Send this copy and others that wait, at most a queue of them, then the counts. Raise an error unless the unit says that it
-- has all of them.
local function deliver(socket, text, taken)
    socket:settimeout(PATIENCE)
    -- A worker that was replaced doesn't end while it is connected.
    if not socket:connect(address) then error("refused") end
    gather()
    local copies, bytes = 0, 0
    while text do
        if text ~= "" then said(socket, text) end
        copies, bytes = copies + 1, bytes + #text
        -- If the unit is slower than requests come, it must still learn of it.
        text = copies < most_copies and bytes < most_bytes and queue:pop() or nil
        if text then taken(text) end
    end
    -- While this waits, requests add to the counts.
    local reported = {}
    for why, count in pairs(dropped) do reported[why] = count end
    for why, count in pairs(reported) do said(socket, string.format("dropped %s %d\n", why, count)) end
    said(socket, "end\n")
    if socket:receive("*l") ~= "ok" then error("no answer") end
    for why, count in pairs(reported) do dropped[why] = dropped[why] > count and dropped[why] - count or nil end
end

core.register_task(function()
    local pause = LEAST_PAUSE
    while true do
        local text, copies = queue:pop_wait(), 0
        local function taken(one)
            if one == "" then
                woken = false
                return
            end
            copies, waiting, waiting_bytes = copies + 1, waiting - 1, waiting_bytes - (#one - one:find("\n", 1, true))
        end
        if text then taken(text) end
        local socket = core.tcp()
        if pcall(deliver, socket, text or "", taken) then
            pause = LEAST_PAUSE
        else
            core.msleep(pause * 1000)
            pause = math.min(2 * pause, MOST_PAUSE)
            drop("undelivered", copies)
        end
        pcall(socket.close, socket)
    end
end)
