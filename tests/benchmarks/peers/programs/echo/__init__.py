"""The least that Channels needs to push: consumers that send on what their group hears."""
