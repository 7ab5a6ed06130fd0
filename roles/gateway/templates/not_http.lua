-- Rendered by rackwright: the answer to what isn't HTTP. HAProxy's own has an HTML page, which no setting changes.
local BODY = '{"error":{"message":"The request is not valid HTTP.","type":"invalid_request_error","param":null,"code":"bad_request"}}'
local HEAD = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncache-control: no-store\r\nconnection: close\r\n"

local ANSWER = HEAD .. "content-length: " .. #BODY .. "\r\n\r\n" .. BODY

-- An action ends the connection with its answer. A service would keep it for as long as its client sends something.
core.register_action("not_http", { "tcp-req" }, function(txn)
    txn.res:send(ANSWER)
    txn:done()
end)
