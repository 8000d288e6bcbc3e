plugins {
    kotlin("jvm") version "2.4.20"
    `java-library`
    `maven-publish`
    signing
}

group = "valetkey"
version = "0.1.0"

repositories {
    mavenCentral()
}

dependencies {
    testImplementation(kotlin("test-junit"))
    // Only CoroutineValetkey needs coroutines, whose `Flow` it returns.
    api("org.jetbrains.kotlinx:kotlinx-coroutines-core:1.8.0")
}

java {
    sourceCompatibility = JavaVersion.VERSION_1_8
    targetCompatibility = JavaVersion.VERSION_1_8
    // Maven Central wants both.
    withSourcesJar()
    withJavadocJar()
}

// docs/publishing.md. `publishToMavenLocal` needs none of these properties.
publishing {
    publications.create<MavenPublication>("library") {
        from(components["java"])
        pom {
            name.set("Valetkey")
            description.set("Calls a prediction API through Valetkey, from Android and the JVM.")
            url.set(providers.gradleProperty("projectUrl"))
            licenses {
                license {
                    name.set("Apache-2.0")
                    url.set("https://www.apache.org/licenses/LICENSE-2.0")
                }
            }
            developers {
                developer { name.set(providers.gradleProperty("developer")) }
            }
            scm { url.set(providers.gradleProperty("projectUrl")) }
        }
    }
    repositories {
        // Its credentials are the properties `mavenUsername` and `mavenPassword`.
        providers.gradleProperty("mavenUrl").orNull?.let { address ->
            maven {
                name = "maven"
                url = uri(address)
                credentials(PasswordCredentials::class)
            }
        }
    }
}

// A PGP key in the environment, so that it is in no file.
providers.environmentVariable("SIGNING_KEY").orNull?.let { key ->
    signing {
        useInMemoryPgpKeys(key, providers.environmentVariable("SIGNING_PASSWORD").orNull)
        sign(publishing.publications["library"])
    }
}

kotlin {
    explicitApi()
    // Lets apps with an older compiler read the library's metadata.
    coreLibrariesVersion = "2.2.0"
    compilerOptions {
        languageVersion = org.jetbrains.kotlin.gradle.dsl.KotlinVersion.KOTLIN_2_2
        apiVersion = org.jetbrains.kotlin.gradle.dsl.KotlinVersion.KOTLIN_2_2
        jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_1_8
        allWarningsAsErrors = true
    }
}

// Compiles against Java 8's class library, whichever JDK runs the compiler: newer APIs are errors, and later
// deprecations are no warnings. The tests compile against the JDK that runs them.
tasks.named<org.jetbrains.kotlin.gradle.tasks.KotlinCompile>("compileKotlin") {
    compilerOptions.freeCompilerArgs.add("-Xjdk-release=1.8")
}
