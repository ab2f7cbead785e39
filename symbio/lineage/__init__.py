"""Where a result comes from: collected when it is made, told when somebody asks."""
