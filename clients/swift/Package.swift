// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "Valetkey",
    platforms: [.iOS(.v15), .macOS(.v12), .tvOS(.v15), .watchOS(.v8)],
    products: [.library(name: "Valetkey", targets: ["Valetkey"])],
    targets: [
        .target(name: "Valetkey"),
        .testTarget(name: "ValetkeyTests", dependencies: ["Valetkey"]),
    ]
)
