plugins {
    kotlin("jvm") version "2.4.20"
    `java-library`
}

group = "valetkey"
version = "0.1.0"

repositories {
    mavenCentral()
}

dependencies {
    testImplementation(kotlin("test-junit"))
    // For the recipes of README.md; the library itself needs none.
    testImplementation("org.jetbrains.kotlinx:kotlinx-coroutines-core:1.8.0")
}

java {
    sourceCompatibility = JavaVersion.VERSION_1_8
    targetCompatibility = JavaVersion.VERSION_1_8
}

kotlin {
    explicitApi()
    // What an app with an older compiler can read.
    coreLibrariesVersion = "2.2.0"
    compilerOptions {
        languageVersion = org.jetbrains.kotlin.gradle.dsl.KotlinVersion.KOTLIN_2_2
        apiVersion = org.jetbrains.kotlin.gradle.dsl.KotlinVersion.KOTLIN_2_2
        jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_1_8
        allWarningsAsErrors = true
    }
}

// Java's library as Java 8 had it, whichever JDK compiles: what is newer is not found, and what is deprecated since is no warning.
// The tests are for the JDK that runs them.
tasks.named<org.jetbrains.kotlin.gradle.tasks.KotlinCompile>("compileKotlin") {
    compilerOptions.freeCompilerArgs.add("-Xjdk-release=1.8")
}
