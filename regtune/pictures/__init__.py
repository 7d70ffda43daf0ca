"""What is done to whole batches of pictures, with other settings for each one."""
