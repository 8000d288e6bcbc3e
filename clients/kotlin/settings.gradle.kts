rootProject.name = "valetkey"
