package auth0sim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// The administrator who acts in the Dashboard. How a row of the Dashboard names its
// channel is not documented: an assumption.
const (
	AdminName    = "mallory@example.com"
	AdminIP      = "203.0.113.7"
	adminChannel = "https://manage.auth0.com/"
)

// logs answers GET /api/v2/logs: a row for each write that took effect, as Auth0 writes
// them (type sapi, go-auth0's recordings), once it is as old as the log lags. Of searches it
// knows the one for these rows alone, newest first; any other is refused, and Auth0 knows
// many more.
func (t *Tenant) logs(c *call) *answer {
	q := c.r.URL.Query()
	page, _ := strconv.Atoi(q.Get("page"))
	size, err := strconv.Atoi(q.Get("per_page"))
	if err != nil || size < 1 || size > 100 || page < 0 || q.Get("q") != "type:sapi" || q.Get("sort") != "date:-1" {
		return failure(http.StatusBadRequest, "Query validation error: the simulator knows q=type:sapi&sort=date:-1 with per_page from 1 to 100", "invalid_query_string")
	}
	rows := []map[string]any{}
	for i, call := range slices.Backward(t.history) {
		if call.Effect && !t.cfg.Now().Before(call.At.Add(t.cfg.LogLag)) {
			rows = append(rows, t.logRow(i, call))
		}
	}
	from := min(page*size, len(rows))
	return ok(http.StatusOK, rows[from:min(from+size, len(rows))])
}

// logRow is a row of the tenant log. t.mu is held.
func (t *Tenant) logRow(i int, c Call) map[string]any {
	id := fmt.Sprintf("900%s%020d", c.At.UTC().Format("20060102150405"), i)
	method, path, description := "post", "/api/v2/keys/signing/rotate", "Rotate the Application Signing Key"
	if c.Op == "revoke" {
		method, path, description = "put", "/api/v2/keys/signing/"+c.KID+"/revoke", "Revoke an Application Signing Key by its key id"
	}
	request := map[string]any{
		"auth":   map[string]any{"credentials": map[string]any{}, "strategy": "jwt", "user": map[string]any{}},
		"method": method, "path": path, "query": map[string]any{}, "body": map[string]any{},
		"channel": "api", "ip": "192.0.2.1", "userAgent": "Go-http-client/1.1",
	}
	row := map[string]any{
		"_id": id, "log_id": id, "date": c.At.UTC().Format("2006-01-02T15:04:05.000Z"), "type": "sapi", "description": description,
		"client_id": t.cfg.ClientID, "client_name": "", "ip": "192.0.2.1", "user_id": nil,
		"tenant_name": tenantName, "environment_name": "sim-1",
		"details": map[string]any{"request": request, "response": map[string]any{"statusCode": c.Status, "body": map[string]any{}}},
	}
	if c.Via == "dashboard" {
		request["auth"] = map[string]any{"credentials": map[string]any{}, "strategy": "jwt", "user": map[string]any{
			"user_id": "auth0|5f7c8ec7c33c6c004bbafe82", "name": AdminName, "email": AdminName,
		}}
		request["channel"], request["ip"], row["ip"] = adminChannel, AdminIP, AdminIP
		row["user_id"], row["client_id"] = "auth0|5f7c8ec7c33c6c004bbafe82", ""
	}
	if c.Correlation != "" {
		row["references"] = map[string]any{"correlation_id": c.Correlation[:min(64, len(c.Correlation))]}
	}
	return row
}
