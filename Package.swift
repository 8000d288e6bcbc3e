// swift-tools-version:5.9
import PackageDescription

// The Swift client, clients/swift. This file is at the root of the repository, since the Swift Package Manager looks for it
// nowhere else when an app names the repository's URL.
let package = Package(
    name: "Valetkey",
    platforms: [.iOS(.v15), .macOS(.v12), .tvOS(.v15), .watchOS(.v8)],
    products: [.library(name: "Valetkey", targets: ["Valetkey"])],
    targets: [
        .target(name: "Valetkey", path: "clients/swift/Sources/Valetkey"),
        .testTarget(name: "ValetkeyTests", dependencies: ["Valetkey"], path: "clients/swift/Tests/ValetkeyTests"),
    ]
)
