package world

import "net/http"

// sameOrigin lets through what was asked for under the listener's own address and, where
// a browser says from which page it comes, from a page of that address. Whatever page is
// open in the same browser could otherwise press buttons here, or read along under a name
// of its own that it points to 127.0.0.1.
func sameOrigin(addr string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		switch {
		case r.Host != addr:
			http.Error(rw, "this is only at http://"+addr, http.StatusMisdirectedRequest)
		case origin != "" && origin != "http://"+addr,
			site != "" && site != "same-origin" && site != "none":
			http.Error(rw, "a page of another origin may not do this", http.StatusForbidden)
		default:
			h.ServeHTTP(rw, r)
		}
	})
}
