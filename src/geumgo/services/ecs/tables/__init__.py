"""The migrations of ECS."""
