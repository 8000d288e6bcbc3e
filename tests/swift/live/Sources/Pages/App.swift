// Stand-ins for the app in the documentation pages: just enough for the pages' code to compile.
import Foundation
import Valetkey

struct Backend: Sendable {
    func valetkeyToken(forceRefresh: Bool) async throws -> String { "\(forceRefresh)" }
}

let session = Backend()
let backend = Backend()

let valetkey = try! Valetkey(baseURL: URL(string: "https://valetkey.example.workers.dev")!) { _ in "token" }
let photoURL = URL(fileURLWithPath: "photo.jpg")

/// Stand-in for Firebase's class.
struct AppCheck: Sendable {
    struct Token: Sendable {
        let token: String
    }

    static func appCheck() -> AppCheck { AppCheck() }
    func token(forcingRefresh: Bool) async throws -> Token { Token(token: "\(forcingRefresh)") }
}
